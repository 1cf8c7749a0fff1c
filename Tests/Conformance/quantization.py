"""Networks in eight bits stay near themselves, at least as near as onnxruntime's static quantization keeps them.

Real weights (EfficientNet-Lite0) and real photos: ranges from some, answers compared on others; onnxruntime quantizes what graft
exports to ONNX, with the same photos (8-bit values, a scale for each output's weights). Then networks of other families with random
weights, for everything that a graph can have between two products. Run by `make conformance` with GRAFT=path of the program.
"""
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from _graft import attempt, graft, report, weights

ALL = os.environ.get("CONFORMANCE") == "all"
PHOTOS = Path(os.environ.get("CLOTHING", "../shared/data/clothing"))
# Sums, depthwise and gated blocks, concatenations, values below zero.
NETWORKS = ["torchvision/resnet18", "torchvision/mobilenet_v2", "torchvision/squeezenet1_1", "torchvision/mobilenet_v3_small"]
MORE = ["torchvision/densenet121", "inceptionv3", "torchvision/shufflenet_v2_x1_0", "torchvision/resnext50_32x4d", "torchvision/convnext_tiny",
        "nasnetmobile", "xception", "torchvision/googlenet", "resnet50v2", "torchvision/regnet_y_400mf", "torchvision/vgg11"]


def spread(items, count):
    return [items[i * len(items) // count] for i in range(count)]


def peer(folder, model, photos, rows):
    """What onnxruntime answers in f32 and in eight bits for the second half of the photos."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    graft("convert", model, "--to", "onnx", "-o", folder / "f32.onnx")
    f32 = onnxruntime.InferenceSession(str(folder / "f32.onnx"))
    name = f32.get_inputs()[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rows = iter(rows[::2])

        def get_next(self):
            row = next(self.rows, None)
            return None if row is None else {name: row}

    # As its guide advises: BatchNorm is folded first.
    quant_pre_process(str(folder / "f32.onnx"), str(folder / "prepared.onnx"), skip_symbolic_shape=True)
    quantize_static(str(folder / "prepared.onnx"), str(folder / "int8.onnx"), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    int8 = onnxruntime.InferenceSession(str(folder / "int8.onnx"))
    return [np.stack([s.run(None, {name: row})[0][0] for row in rows[1::2]]) for s in (f32, int8)]


def loss(exact, told):
    """As `graft quantize` says it, of the logits."""
    share = lambda z: (e := np.exp(z - z.max(1, keepdims=True))) / e.sum(1, keepdims=True)
    best, at = exact.argmax(1), np.arange(len(exact))
    moved = np.abs(share(exact)[at, best] - share(told)[at, best])
    return {"sameClass": float((told.argmax(1) == best).mean()), "meanShift": float(moved.mean())}


def real(folder):
    if not PHOTOS.is_dir():
        return report.skip("real photos", f"there is no {PHOTOS} ($CLOTHING names a folder of photos)")
    photos = spread(sorted(PHOTOS.glob("train/*/*.jpg")), 256 if ALL else 96)
    model, eighth = folder / "lite0.safetensors", folder / "lite0-int8.safetensors"
    graft("convert", "timm/tf_efficientnet_lite0", "-o", model)
    answer = json.loads(graft("quantize", model, *photos, "--count", len(photos), "-o", eighth, "--json"))
    if answer.get("loss") is None:
        return report.skip("int8", "this processor has no instructions for it")
    rows = []
    for photo in photos:
        graft("preprocess", photo, "--normalize", "tf", "--size", 224, "--shorter-side", 256, "--kernel", "bicubic", "-o", folder / "x.npy")
        rows.append(np.load(folder / "x.npy"))
    theirs = loss(*peer(folder, model, photos, rows))
    # The same numbers by another way: rows in, logits out.
    np.save(folder / "rows.npy", np.concatenate(rows[1::2]))
    for precision in ("f32", "int8"):
        graft("run", eighth, "--input", folder / "rows.npy", "--until", "logits", "--precision", precision, "--output", folder / f"{precision}.npy")
    ours = loss(np.load(folder / "f32.npy"), np.load(folder / "int8.npy"))
    count = len(rows) // 2
    report(ours["meanShift"] <= theirs["meanShift"] * 1.1 and ours["sameClass"] >= theirs["sameClass"] - 2 / count,
           "EfficientNet-Lite0, real photos: as near to f32 as onnxruntime's int8",
           f"same class {ours['sameClass']:.3f} and {theirs['sameClass']:.3f}, probability moves by {ours['meanShift']:.4f} and {theirs['meanShift']:.4f}")
    said = answer["loss"]
    report(abs(said["meanShift"] - ours["meanShift"]) < 5e-3 and abs(said["sameClass"] - ours["sameClass"]) <= 2 / count,
           "what `graft quantize` says of it is so", f"{said['sameClass']:.3f}, {said['meanShift']:.4f}")


def others(folder):
    photos = []
    random = np.random.default_rng(3)
    for i in range(8):  # Smooth ones, as photos are.
        small = random.integers(0, 256, (7, 7, 3), dtype="u1")
        photos.append(folder / f"{i}.png")
        Image.fromarray(small).resize((224, 224), Image.BICUBIC).save(photos[-1])
    for name in NETWORKS + (MORE if ALL else []):
        save_file(weights(name, random), folder / "w.safetensors")
        graft("convert", folder / "w.safetensors", "--architecture", name, "-o", folder / "m.safetensors")
        answer = json.loads(graft("quantize", folder / "m.safetensors", *photos, "-o", folder / "q.safetensors", "--json"))
        if answer.get("loss") is None:
            continue
        plan = json.loads(graft("bench", folder / "q.safetensors", "--precision", "int8", "--runs", 1, "--json"))["plan"]
        products = [l for l in plan if l["gflops"] > 0]
        eighths = [l for l in products if "vnni" in l["algorithm"] or "int8" in l["algorithm"] or "amx" in l["algorithm"]]
        good = answer["loss"]["featureCosine"] > 0.995 and len(eighths) >= len(products) - 1
        report(good, f"{name}: features keep their direction, all products but the first are in int8",
               f"cosine {answer['loss']['featureCosine']:.5f}, {len(eighths)} of {len(products)}")


def wrong(folder):
    """Without ranges; with ranges that are none."""
    run = attempt("predict", folder / "m.safetensors", folder / "0.png", "--precision", "int8")
    note = "computing in f32" in run.stderr
    report(note or run.returncode == 1 and "graft quantize" in run.stderr, "a model without ranges is refused, and what to do said",
           run.stderr.strip().splitlines()[0][:100])
    data = bytearray((folder / "q.safetensors").read_bytes())
    at = data.index(b'\\"lower\\":') + len(b'\\"lower\\":')
    data[at:at + 1] = b"x"
    (folder / "bad.safetensors").write_bytes(data)
    run = attempt("predict", folder / "bad.safetensors", folder / "0.png")
    report(run.returncode == 1 and "graft.ranges" in run.stderr, "damaged ranges are named", run.stderr.strip().splitlines()[0][:100])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="graft-quantization-") as name:
        folder = Path(name)
        real(folder)
        others(folder)
        wrong(folder)
    report.finish()
