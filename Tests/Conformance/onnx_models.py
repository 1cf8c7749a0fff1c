"""What graft exports to ONNX, onnxruntime computes the same numbers with, and graft reads back.

Run by `make conformance` with GRAFT=path of the program.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

GRAFT = os.environ["GRAFT"]
failed = False


def graft(*arguments):
    run = subprocess.run([GRAFT, *arguments], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip()[-300:])
    return run.stdout


def report(good, label, detail=""):
    global failed
    failed |= not good
    print("ok  " if good else "FAIL", label, detail)


def weights(name, random):
    tensors = {}
    for weight in json.loads(graft("summary", name, "--json"))["weights"]:
        shape, last = weight["shape"], weight["name"].replace("/", ".").split(".")[-1]
        if last in ("running_var", "moving_variance"):
            value = random.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            value = random.normal(0, np.sqrt((2 if len(shape) == 4 else 0.1) / np.prod(shape[1:])), shape)
        else:
            value = random.normal(0.5 if last in ("weight", "gamma") else 0, 0.1, shape)
        tensors[weight["name"]] = value.astype("f4")
    return tensors


names = sys.argv[1:] or ["resnet50", "densenet121", "mobilenetv2", "torchvision/resnet18",
                         "torchvision/mobilenet_v2", "timm/tf_efficientnet_lite0"]
with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    for name in names:
        random = np.random.default_rng(1)
        try:
            save_file(weights(name, random), at("w.safetensors"))
            graft("convert", at("w.safetensors"), "--architecture", name, "-o", at("m.safetensors"))
            graft("convert", at("m.safetensors"), "--to", "onnx", "-o", at("m.onnx"))
            onnx.checker.check_model(at("m.onnx"), full_check=True)
            session = onnxruntime.InferenceSession(at("m.onnx"), providers=["CPUExecutionProvider"])
            shape = session.get_inputs()[0].shape
            x = random.normal(size=(2, *shape[1:])).astype("f4")
            np.save(at("x.npy"), x)
            graft("run", at("m.safetensors"), "--input", at("x.npy"), "--output", at("y.npy"))
            theirs = session.run(None, {"input": x})[0]
            error = np.abs(np.load(at("y.npy")) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"{name} -> onnx", f"relative error {error:.1e}")
            graft("run", at("m.onnx"), "--input", at("x.npy"), "--output", at("z.npy"))
            error = np.abs(np.load(at("z.npy")) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"onnx of {name} in graft", f"relative error {error:.1e}")
        except Exception as error:
            report(False, name, f"{type(error).__name__}: {str(error)[-500:]}")
sys.exit(failed)
