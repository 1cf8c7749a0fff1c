"""What bf16 and int8 bring and what they cost: milliseconds and accuracy, against f32 and against onnxruntime's static int8.

Run by `make bench`, or alone: GRAFT=path .venv/bin/python Scripts/bench_precision.py [--networks …] [--rounds N] [--write docs/PRECISION.md]
Speed: fresh processes by turns, medians of ratios round by round; a batch in memory. Accuracy: a head learned on real photos of clothing
($CLOTHING, or those beside the project) in f32, then judged on the test photos in each precision; and how far answers move. The
weights of EfficientNet-Lite0 are published ones; the other networks' are random, of which only the speed says something.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import _machine

HERE = Path(__file__).resolve().parent
GRAFT = os.environ.get("GRAFT", ".build/release/graft")
CLOTHING = Path(os.environ.get("CLOTHING", HERE.parent.parent / "shared/data/clothing"))
NETWORKS = {"efficientnet-lite0": "timm/tf_efficientnet_lite0", "resnet50": "torchvision/resnet50", "mobilenetv2": "torchvision/mobilenet_v2",
            "vgg16": "torchvision/vgg16", "densenet121": "torchvision/densenet121"}
PRECISIONS = ("f32", "bf16", "int8")
THEIRS = """import json, sys, time, numpy as np, onnxruntime
path, batch, threads, runs = sys.argv[1], *map(int, sys.argv[2:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = onnxruntime.InferenceSession(path, options)
x = {session.get_inputs()[0].name: np.random.default_rng(0).uniform(-1, 1, (batch, 3, 224, 224)).astype("f4")}
session.run(None, x)
times = []
for _ in range(runs):
    began = time.perf_counter()
    session.run(None, x)
    times.append((time.perf_counter() - began) * 1000)
print(json.dumps({"median_ms": sorted(times)[len(times) // 2]}))"""


def run(command, threads=None):
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3", GRAFT_CACHE=str(folder / "cache"))
    if threads:
        environment |= {"OMP_NUM_THREADS": str(threads)}
        command = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[-threads:])), *command]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name}: {done.stderr.strip()[-400:]}")
    return done.stdout


def graft(*arguments, threads=None):
    return run([GRAFT, *arguments], threads)


def drawn():
    """Smooth pictures, where there are no photos."""
    from PIL import Image

    random = np.random.default_rng(0)
    for i in range(32):
        Image.fromarray(random.integers(0, 256, (7, 7, 3), dtype="u1")).resize((224, 224), Image.BICUBIC).save(folder / f"{i:02}.png")
    return sorted(folder.glob("*.png"))


def quantized(source, target, count=32):
    """The same network as onnxruntime quantizes it, prepared as it advises: 8-bit values, a scale for each output's weights."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)

    class Reader(CalibrationDataReader):
        left = count

        def get_next(self):
            self.left -= 1
            return {"input": np.random.default_rng(self.left).uniform(-1, 1, (1, 3, 224, 224)).astype("f4")} if self.left >= 0 else None

    quantize_static(str(prepared), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8)


def speed(network, settings, photos):
    """Rows of one network: medians, and the ratios round by round."""
    source = run([sys.executable, HERE / "_bench_peer.py", "make", network, folder]).strip()
    graft("convert", source, "--architecture", NETWORKS[network], "-o", folder / "m.safetensors")
    graft("quantize", folder / "m.safetensors", *photos, "--count", 32, "-o", folder / "q.safetensors")
    graft("convert", folder / "m.safetensors", "--to", "onnx", "-o", folder / "m.onnx")
    quantized(folder / "m.onnx", folder / "q.onnx")
    rows = []
    for batch in (1, 8):
        for threads in (1, min(2, len(os.sched_getaffinity(0)))):
            found = {p: [] for p in (*PRECISIONS, "onnxruntime int8")}
            runs = 15 if batch == 1 else 6
            for _ in range(settings.rounds):
                for precision in PRECISIONS:
                    answer = json.loads(graft("bench", folder / "q.safetensors", "--batch", batch, "--threads", threads, "--precision", precision,
                                              "--runs", runs, "--brief", "--json", threads=threads))
                    if answer["precision"] == precision:
                        found[precision].append(answer["median_ms"])
                theirs = json.loads(run([sys.executable, "-c", THEIRS, folder / "q.onnx", batch, threads, runs], threads))
                found["onnxruntime int8"].append(theirs["median_ms"])
            ratio = lambda one, other: statistics.median(a / b for a, b in zip(found[one], found[other])) if found[one] and found[other] else None
            rows.append({"network": network, "batch": batch, "threads": threads} | {k: statistics.median(v) if v else None for k, v in found.items()}
                        | {"int8 to f32": ratio("f32", "int8"), "int8 to theirs": ratio("onnxruntime int8", "int8"), "bf16 to f32": ratio("f32", "bf16")})
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def accuracy():
    """A head of ten kinds of clothing: learned in f32, judged on the test photos in each precision."""
    if not CLOTHING.is_dir():
        return None
    began = time.time()
    graft("train", CLOTHING / "train", "--validation", CLOTHING / "validation", "--backbone", "timm/tf_efficientnet_lite0", "--head", "logistic",
          "-o", folder / "run")
    answer = json.loads(graft("quantize", folder / "run/model.safetensors", CLOTHING / "train", "--count", 256, "-o", folder / "run8.safetensors", "--json"))
    result = {"photos": None, "loss": answer["loss"]}
    for precision in PRECISIONS:
        told = json.loads(graft("evaluate", folder / "run8.safetensors", CLOTHING / "test", "--precision", precision, "--json"))
        result |= {precision: told["accuracy"], "photos": told["photos"]}
    print(result, f"{time.time() - began:.0f} s", file=sys.stderr, flush=True)
    return result


def render(rows, judged, here):
    versions = here["versions"]
    lines = ["# Precision: f32, bf16 and int8", "",
             "Made by `make bench` (`Scripts/bench_precision.py`); do not edit by hand. A ratio above 1 says that graft's int8 is faster.", "",
             f"{here['processor']}, {here['cores']} cores, {' '.join(here['flags'])}; {here['system']}; {here['program']}, onnxruntime "
             f"{versions.get('onnxruntime', '?')}; load {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d', time.gmtime())}.", "",
             "Milliseconds a batch of 224 × 224, input and output in memory, fresh processes by turns, medians; ratios are medians of ratios "
             "round by round. onnxruntime's int8 is its static quantization (QDQ, 8-bit values, a scale for each output's weights).", "",
             "| network | batch | threads | f32 | bf16 | int8 | onnxruntime int8 | int8 against f32 | against onnxruntime's |",
             "|---|---|---|--:|--:|--:|--:|--:|--:|"]
    cell = lambda value, unit="": "–" if value is None else f"{value:.3g}{unit}"
    for r in rows:
        lines.append(f"| {r['network']} | {r['batch']} | {r['threads']} | {cell(r['f32'])} | {cell(r['bf16'])} | {cell(r['int8'])} | "
                     f"{cell(r['onnxruntime int8'])} | {cell(r['int8 to f32'], 'x')} | **{cell(r['int8 to theirs'], 'x')}** |")
    slow = [r for r in rows if r["bf16 to f32"] and r["bf16 to f32"] < 1]
    if slow:
        lines += ["", f"bf16 is slower than f32 in {len(slow)} of {len(rows)} rows: this processor's instruction for it (VDPBF16PS, without AMX's tiles) "
                      "takes longer than two of f32's. What it saves here is memory; other processors differ."]
    lines += ["", "## What it costs", ""]
    if judged:
        loss = judged["loss"]
        lines += [f"EfficientNet-Lite0 with its published weights, a logistic head learned in f32 on photos of ten kinds of clothing, judged on "
                  f"{judged['photos']} test photos:", "", "| precision | accuracy |", "|---|--:|",
                  *(f"| {p} | {judged[p]:.4f} |" for p in PRECISIONS)]
        if loss:
            lines += ["", f"On {loss['photos']} photos the first class is the same in {loss['sameClass']:.1%}, its probability moves by "
                          f"{loss['meanShift']:.3f} on average, and the cosine of the features is {loss['featureCosine']:.4f}."]
    else:
        lines += ["Not measured: the photos of clothing were not there ($CLOTHING)."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=lambda text: text.split(","), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="where the table goes; stdout without")
    settings = parser.parse_args()
    for network in settings.networks:
        if network not in NETWORKS:
            parser.error(f"no network `{network}`; there are {', '.join(NETWORKS)}")
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as name:
        folder = Path(name)
        judged = accuracy()
        photos = drawn()
        rows = [row for network in settings.networks for row in speed(network, settings, photos)]
    text = render(rows, judged, _machine.machine(GRAFT))
    settings.write.write_text(text) if settings.write else print(text)
