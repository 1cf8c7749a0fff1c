"""The model's own answer: what `graft predict` says of each kind of last layer, against Keras on the same image.

The same network goes through its own file (.keras and .h5), through graft's native file, and through ONNX and Keras again.
"""
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from _graft import attempt, complaint, graft, report

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras  # noqa: E402

folder = Path(tempfile.mkdtemp(prefix="graft-answers-"))
random = np.random.default_rng(7)
layers = keras.layers
IMAGE = folder / "image.png"
small = Image.fromarray(random.integers(0, 255, (8, 9, 3), dtype=np.uint8)).resize((90, 70), Image.BICUBIC)
small.save(IMAGE)


def network(outputs, activation, channels=3, head="dense"):
    keras.utils.set_random_seed(outputs * 3 + channels)
    source = keras.Input((40, 48, channels))
    x = layers.Rescaling(1 / 127.5, offset=-1)(source)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    if head == "convolution":
        x = layers.Conv2D(outputs, 1, kernel_initializer=keras.initializers.RandomNormal(0, 2))(x)
        x = layers.Activation(activation)(layers.GlobalAveragePooling2D()(x))
    elif head == "layer":
        x = layers.Dense(outputs, kernel_initializer=keras.initializers.RandomNormal(0, 3))(layers.GlobalAveragePooling2D()(x))
        x = layers.Activation(activation)(x)
    else:
        start = keras.initializers.RandomNormal(0, 3)
        x = layers.Dense(outputs, activation=activation, kernel_initializer=start)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(source, x)


def asked(model, channels=3):
    """What Keras answers of the image, resized as graft resizes for Keras' models."""
    import tensorflow as tf

    pixels = np.asarray(small if channels == 3 else small.convert("L")).reshape(70, 90, channels)
    return model.predict(tf.image.resize(pixels[None].astype("f4"), (40, 48)), verbose=0)


def numbers(path, *options):
    """graft's answer, in the order of the outputs."""
    # Where there are only values, `--top` is refused.
    ranked = attempt("predict", path, IMAGE, "--json", "--top", 99, *options)
    text = graft("predict", path, IMAGE, "--json", *options) if "--top does nothing" in ranked.stderr else ranked.stdout
    photo = json.loads(text)["photos"][0]
    if photo.get("values"):
        return [v["value"] for v in photo["values"]]
    return [p["probability"] for p in sorted(photo["predictions"], key=lambda p: p["index"])]


def everywhere(label, model, expected, *options):
    """The answer of every form of the model."""
    expected = np.asarray(expected).reshape(-1)
    for ending in ("keras", "h5"):
        source = folder / f"m.{ending}"
        model.save(source)
        forms = [source, *(folder / f"c.{e}" for e in ("safetensors", "onnx", "keras", "h5"))]
        graft("convert", source, *options, "-o", forms[1])
        for form in forms[2:]:
            graft("convert", forms[1], "-o", form)
        graft("convert", forms[2], "-o", folder / "d.safetensors")
        for form in [*forms, folder / "d.safetensors"]:
            found = numbers(form, *(options if form == source else []))
            good = len(found) == len(expected)
            report(good and np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max()),
                   f"{label}, .{ending} as {form.name}", f"{np.round(found, 4)} for {np.round(expected, 4)}")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


for outputs, activation, head in [(1, "sigmoid", "dense"), (4, "sigmoid", "dense"), (5, "softmax", "dense"), (2, "softmax", "layer"),
                                  (3, "sigmoid", "layer"), (4, "softmax", "convolution"), (3, "relu", "dense"), (2, "tanh", "layer")]:
    model = network(outputs, activation, head=head)
    everywhere(f"{outputs} {activation}, {head}", model, asked(model))

model = network(6, None)
everywhere("6 scores", model, np.exp(asked(model)) / np.exp(asked(model)).sum())
everywhere("6 numbers", model, asked(model), "--task", "regression")
everywhere("6 labels", model, sigmoid(asked(model)), "--activation", "sigmoid")
model = network(1, None)
everywhere("1 number", model, asked(model))
everywhere("1 score", model, sigmoid(asked(model)), "--activation", "sigmoid")
both = sigmoid(asked(model))[0, 0]
everywhere("1 score of two labels", model, [1 - both, both], "--labels", "cat,dog")
said = attempt("predict", folder / "m.keras", IMAGE).stderr
report("--activation sigmoid" in said, "a linear output: it says what is assumed", said.strip())
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
everywhere("1 score by its loss", model, sigmoid(asked(model)))
model = network(3, None)
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
everywhere("3 labels by their loss", model, sigmoid(asked(model)))
model.compile("adam", "mse")
everywhere("3 numbers by their loss", model, asked(model))
for channels in (1,):
    model = network(4, "softmax", channels=channels)
    everywhere(f"{channels} channel", model, asked(model, channels))

# Other channel counts take tensors, from every form alike.
model = network(3, "softmax", channels=4)
model.save(folder / "four.keras")
x = random.uniform(0, 255, (2, 40, 48, 4)).astype("f4")
np.save(folder / "x.npy", x)
expected = model.predict(x, verbose=0)
graft("convert", folder / "four.keras", "-o", folder / "four.safetensors")
graft("convert", folder / "four.safetensors", "-o", folder / "four.onnx")
for name in ("four.keras", "four.safetensors", "four.onnx"):
    graft("run", folder / name, "--input", folder / "x.npy", "--output", folder / "y.npy", "--layout", "nhwc")
    report.within(f"4 channels, {name}", np.abs(np.load(folder / "y.npy") - expected).max(), 1e-5)
report("4 channels" in complaint("predict", folder / "four.safetensors", IMAGE), "4 channels: an image is refused")

# Several outputs; what only the others need is not even read.
source = keras.Input((40, 48, 3))
t = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(source)))
odd = layers.Lambda(lambda z: z * 2, name="odd")(t)
two = keras.Model(source, [layers.Dense(3, name="kind", activation="softmax")(t), layers.Dense(4, name="box")(odd)])
for ending in ("keras", "h5"):
    path = folder / f"two.{ending}"
    two.save(path)
    said = complaint("predict", path, IMAGE)
    report("`kind`" in said and "`box`" in said and "--select kind" in said, f"two outputs, .{ending}: they are listed", said.strip())
    report("`nose`" in complaint("convert", path, "--select", "nose", "-o", folder / "n.onnx"), "no output of that name")
    expected = asked(two)[0].reshape(-1)
    report.within(f"--select, .{ending}", np.abs(numbers(path, "--select", "kind") - expected).max(), 1e-5)
    graft("convert", path, "--select", "kind", "-o", folder / "kind.safetensors")
    report.within(f"--select, .{ending} converted", np.abs(numbers(folder / "kind.safetensors") - expected).max(), 1e-5)

# The size in a summary is the model's own.
text = graft("summary", folder / "kind.safetensors")
report("40, 48" in text, "summary: the model's own size", text.splitlines()[4] if len(text.splitlines()) > 4 else text)
report.finish()
