"""Exports that explain themselves: onnxruntime on raw pixels and Keras answer as `graft predict` does.

The images are noise, which resizing by another rounding changes most, and the networks magnify it. PNGs are within 1e-3 of
a probability. JPEGs so large that graft decodes them at a reduced scale are allowed 3e-2: they are averaged in the frequency
domain (`images.py` compares the pixels with Pillow's draft mode), and noise shows it.
"""
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from _graft import complaint, graft, report
from _peers import each_alone

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
folder = Path(tempfile.mkdtemp(prefix="graft-exports-"))
SIZES = [(300, 200), (200, 300), (64, 64), (1000, 333), (333, 1000), (224, 224), (256, 256), (31, 47), (500, 501), (257, 391),
         (120, 90), (700, 700), (225, 640), (90, 500), (400, 227), (231, 229), (18, 22), (1200, 800), (640, 480), (481, 639)]
LABELS = [f"kind {i}" for i in range(5)]


def picture(random, width, height):
    small = Image.fromarray(random.integers(0, 255, (max(height // 9, 2), max(width // 9, 2), 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((width, height), Image.BICUBIC)).astype(int)
    return Image.fromarray((pixels + random.integers(-15, 15, pixels.shape)).clip(0, 255).astype(np.uint8))


def pictures():
    random = np.random.default_rng(3)
    paths = []
    for index, (width, height) in enumerate(SIZES):
        paths.append(folder / f"{index}.png")
        picture(random, width, height).save(paths[-1])
    large = []
    for index, (width, height) in enumerate([(3000, 2000), (2100, 4100)]):
        large.append(folder / f"{index}.jpg")
        picture(random, width, height).save(large[-1], quality=92)
    return paths, large


def lively(channels=3, outputs=5, activation="softmax", scale=1.0, shift=0.0):
    """A network whose answers depend on the image, for values of 0 to 1 times `scale`, plus `shift`."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    x = source = keras.Input((96, 96, channels))
    for count in (12, 16):
        x = layers.Conv2D(count, 3, strides=2, use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(outputs, activation=activation, kernel_initializer=keras.initializers.RandomNormal(0, 0.15))(x)
    model = keras.Model(source, x)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = 0
    random = np.random.default_rng(2)
    seen = np.stack([np.asarray(picture(random, 96, 96).convert("RGB" if channels == 3 else "L")) for _ in range(24)])
    model((seen.reshape(24, 96, 96, channels) / 255 * scale + shift).astype("f4"), training=True)
    return model


def predicted(model, paths):
    """The probabilities by index, for each image."""
    photos = json.loads(graft("predict", model, *paths, "--top", 99, "--json"))["photos"]
    return [[p["probability"] for p in sorted(photo["predictions"], key=lambda p: p["index"])] for photo in photos]


def whole_models():
    import onnx
    import onnxruntime

    paths, large = pictures()
    lively().save(folder / "m.keras")
    lively(scale=4.4, shift=-2).save(folder / "torch.keras")
    lively(scale=255, shift=-115).save(folder / "caffe.keras")
    lively(scale=2, shift=-1).save(folder / "half.keras")
    lively(channels=1).save(folder / "grey.keras")
    lively(outputs=1, activation="sigmoid").save(folder / "binary.keras")
    lively(outputs=4, activation="sigmoid").save(folder / "many.keras")
    lively(activation=None).save(folder / "scores.keras")
    named = ["--labels", ",".join(LABELS)]
    cases = [
        ("bilinear, crop", "m", [*named, "--preprocess", "unit", "--crop", "0.875", "--interpolation", "bilinear"]),
        ("bicubic, torch", "torch", [*named, "--preprocess", "torch", "--crop", "100", "--interpolation", "bicubic"]),
        ("caffe, squashed", "caffe", ["--preprocess", "caffe", "--interpolation", "bilinear"]),
        ("tensorflow", "half", ["--preprocess", "half", "--interpolation", "tensorflow-bilinear"]),
        ("lanczos", "half", ["--preprocess", "half", "--crop", "0.9", "--interpolation", "lanczos"]),
        ("nearest", "m", ["--preprocess", "unit", "--interpolation", "nearest"]),
        ("a crop beyond the image", "m", ["--preprocess", "unit", "--crop", "60", "--interpolation", "bicubic"]),
        ("another size", "m", ["--preprocess", "unit", "--size", "80x112", "--crop", "0.9", "--interpolation", "bilinear"]),
        ("grey", "grey", ["--preprocess", "unit", "--crop", "0.875", "--interpolation", "bilinear"]),
        ("binary", "binary", ["--preprocess", "unit", "--interpolation", "bicubic"]),
        ("many labels", "many", ["--preprocess", "unit", "--interpolation", "bilinear"]),
        ("linear scores", "scores", ["--preprocess", "unit", "--interpolation", "bilinear"]),
        ("folded", "m", ["--preprocess", "unit", "--interpolation", "bilinear", "--fold"]),
    ]
    for label, name, options in cases:
        source, native, exported = (folder / f for f in (f"{name}.keras", "m.safetensors", "m.onnx"))
        graft("convert", source, *[o for o in options if o != "--fold"], "-o", native)
        graft("convert", source, *options, "--with-preprocessing", "-o", exported)
        onnx.checker.check_model(onnx.load(exported), full_check=True)
        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        for kind, files, bound in [("20 PNGs", paths, 1e-3), ("large JPEGs", large, 3e-2)]:
            mine = predicted(native, files)
            theirs = [session.run(None, {"input": np.asarray(Image.open(p).convert("RGB"))[None]})[0][0] for p in files]
            report.within(f"{label}: {kind}", max(np.abs(np.subtract(a, b)).max() for a, b in zip(mine, theirs)), bound)
            back = predicted(exported, files)  # The preprocessing is taken off, and said by the properties.
            report.within(f"{label}: {kind}, read back", max(np.abs(np.subtract(a, b)).max() for a, b in zip(mine, back)), 1e-5)
            spread = np.ptp(np.array(theirs), axis=0).max()
            report(spread > 0.05 or files is large, f"{label}: answers depend on the image", f"{spread:.2f}")


def properties():
    import onnx
    import onnxruntime

    lively(activation=None).save(folder / "scores.keras")
    graft("convert", folder / "scores.keras", "--labels", ",".join(LABELS), "--preprocess", "torch", "-o", folder / "p.onnx")
    model = onnx.load(folder / "p.onnx")
    found = {p.key: p.value for p in model.metadata_props}
    report(json.loads(found["labels"]) == LABELS, "ONNX: labels")
    report(found["task"] == "classification" and found["activation"] == "softmax", "ONNX: task and activation", str(found))
    given = json.loads(found["input"])
    report(given["height"] == 96 and given["normalization"]["mean"] == [0.485, 0.456, 0.406], "ONNX: input specification")
    report(json.loads(found["source"])["sha256"] != "", "ONNX: source")
    report(model.producer_name == "graft" and model.producer_version != "", "ONNX: producer", model.producer_version)
    x = np.random.default_rng(0).normal(size=(2, 3, 96, 96)).astype("f4")
    answers = {}
    for option in ("--softmax", "--fold", ""):
        graft("convert", folder / "scores.keras", *filter(None, [option]), "-o", folder / "q.onnx")
        answers[option] = onnxruntime.InferenceSession(folder / "q.onnx").run(None, {"input": x})[0]
    powers = np.exp(answers[""] - answers[""].max(1, keepdims=True))
    report.within("--softmax", np.abs(answers["--softmax"] - powers / powers.sum(1, keepdims=True)).max(), 1e-6)
    report.within("--fold", np.abs(answers["--fold"] - answers[""]).max() / np.abs(answers[""]).max(), 1e-5)
    graft("convert", folder / "scores.keras", "--fold", "-o", folder / "q.onnx")
    left = sum(n.op_type == "BatchNormalization" for n in onnx.load(folder / "q.onnx").graph.node)
    report(left == 1, "--fold leaves the BatchNorm that follows no layer", f"{left}")  # It follows the pooling.
    graft("convert", folder / "p.onnx", "-o", folder / "back.safetensors")
    paths = pictures()[0][:3]
    error = np.abs(np.subtract(predicted(folder / "p.onnx", paths), predicted(folder / "back.safetensors", paths))).max()
    report.within("ONNX read back", error, 1e-6)


def keras_models():
    import keras

    paths = []
    random = np.random.default_rng(4)
    for index in range(3):  # Of the input's size: Keras resizes nothing here.
        paths.append(folder / f"sized{index}.png")
        picture(random, 96, 96).save(paths[-1])
    x = np.stack([np.asarray(Image.open(p)) for p in paths]).astype("f4")
    for preset, scale, shift in [("torch", 4.4, -2), ("caffe", 255, -115), ("tf", 2, -1), ("none", 255, 0)]:
        lively(activation=None, scale=scale, shift=shift).save(folder / "scores.keras")
        lively(outputs=1, activation="sigmoid", scale=scale, shift=shift).save(folder / "binary.keras")
        for name in ("scores", "binary"):
            for ending in ("keras", "h5"):
                label = f"{name}, {preset}, .{ending}"
                options = ["--preprocess", preset] + (["--labels", ",".join(LABELS)] if name == "scores" else [])
                graft("convert", folder / f"{name}.keras", *options, "-o", folder / "k.safetensors")
                graft("convert", folder / f"{name}.keras", *options, "--with-preprocessing", "-o", folder / f"k.{ending}")
                theirs = keras.models.load_model(folder / f"k.{ending}", compile=False).predict(x, verbose=0)
                report.within(label, np.abs(theirs - predicted(folder / "k.safetensors", paths)).max(), 1e-5)
                report.within(f"{label}, read back", np.abs(theirs - predicted(folder / f"k.{ending}", paths)).max(), 1e-5)
    found = json.loads(graft("predict", folder / "k.keras", paths[0], "--json"))["photos"][0]["predictions"]
    report(len(found) == 1, "one probability of a binary classifier", str(found))


def heads():
    """A knn head is refused with words where a format holds networks; its backbone alone is not."""
    random = np.random.default_rng(6)
    for kind in ("red", "blue"):
        (folder / "data" / kind).mkdir(parents=True)
        for index in range(6):
            pixels = random.integers(0, 60, (40, 40, 3), dtype=np.uint8)
            pixels[..., 0 if kind == "red" else 2] += 150
            Image.fromarray(pixels).save(folder / "data" / kind / f"{index}.png")
    graft("train", folder / "data", "--backbone", "graft/tiny", "--head", "knn", "-o", folder / "run")
    model = folder / "run/model.safetensors"
    for ending in ("onnx", "keras", "h5", "pth", "weights.h5"):
        said = complaint("convert", model, "-o", folder / f"knn.{ending}")
        report("knn" in said and "--notop" in said, f"a knn head as .{ending}", said.strip()[:120])
    # Formats of tensors alone hold it as what it is: the stored images and their classes.
    from safetensors.numpy import load_file

    whole = load_file(model)
    graft("convert", model, "-o", folder / "knn.npz")
    graft("convert", model, "--to", "safetensors", "-o", folder / "knn.safetensors")
    for name, found in (("npz", dict(np.load(folder / "knn.npz"))), ("safetensors", load_file(folder / "knn.safetensors"))):
        same = found.keys() == whole.keys() and all(np.array_equal(found[k], whole[k]) for k in whole)
        report(same and found["neighbours.bank"].shape[0] == len(found["neighbours.labels"]), f"a knn head as tensors, .{name}")
    graft("convert", model, "--notop", "-o", folder / "knn.onnx")
    graft("train", folder / "data", "--backbone", "graft/tiny", "--head", "logistic", "-o", folder / "plain")
    (folder / "card").mkdir()
    graft("convert", folder / "plain/model.safetensors", "--card", "-o", folder / "card/m.onnx")
    card = (folder / "card/README.md").read_text()
    report("accuracy" in card and "blue" in card and "Digest" in card, "a card of a run: metrics, labels, data")
    report((folder / "card/labels.txt").read_text() == "blue\nred\n", "labels.txt")


if __name__ == "__main__":
    failed = each_alone(__file__, whole=whole_models, properties=properties, keras=keras_models, heads=heads)
    if len(sys.argv) > 1:
        report.finish()
    sys.exit(failed > 0)
