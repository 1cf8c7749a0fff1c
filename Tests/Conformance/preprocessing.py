"""What every registry entry does to a photo, against its publisher's own preprocessing.

Keras: `preprocess_input` of the application on the photo resized as `tf.image.resize` does;
torchvision: `weights.transforms()`; timm: the evaluation transform of the checkpoint's own
configuration. Entries that say the same are compared once.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

GRAFT = os.environ["GRAFT"]
TOLERANCE = 2e-4  # of the largest magnitude: a step of an 8-bit pixel is ten times more
folder = Path(tempfile.mkdtemp(prefix="graft-preprocessing-"))
failures = 0
seen = {}


def check(name, problem, detail=""):
    global failures
    failures += bool(problem)
    print(f"{'FAIL' if problem else 'ok  '} {name}{': ' if problem or detail else ''}{problem or detail}", flush=True)


def ours(photo, given):
    arguments = ["--normalize", {"none": "pass-through"}.get(given["normalization"], given["normalization"]),
                 "--size", str(given["height"]), "--kernel", given["interpolation"]]
    if given["resize"] == "centerCrop":
        arguments += ["--shorter-side", str(given["shorterSide"])]
    result = subprocess.run([GRAFT, "preprocess", photo, *arguments, "--ignore-orientation", "-o", folder / "x.npy"],
                            capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr.strip())
    return np.load(folder / "x.npy")


def compare(entry, publisher, peer):
    """peer(): the publisher's answer for the photo, (1, 3, height, width), of numbers."""
    key = (publisher, json.dumps(entry["input"], sort_keys=True))
    if key in seen:
        seen[key] += 1
        return
    seen[key] = 1
    try:
        got, want = ours(photo, entry["input"]), np.asarray(peer())
        if got.shape != want.shape:
            return check(entry["name"], f"{got.shape}, expected {want.shape}")
        error = float(np.abs(got - want).max() / np.abs(want).max())
        text = f"{error:.1e} of the largest magnitude"
        check(entry["name"], None if error <= TOLERANCE else text, text)
    except Exception as error:
        check(entry["name"], f"{type(error).__name__}: {error}")


def keras_of(entry):
    import keras
    import tensorflow as tf

    module = next(m for prefix, m in MODULES if entry["architecture"].startswith(prefix))
    size = (entry["input"]["height"], entry["input"]["width"])
    resized = tf.image.resize(np.asarray(Image.open(photo).convert("RGB"), "float32"), size)
    changed = getattr(keras.applications, module).preprocess_input(np.array(resized))
    return changed.transpose(2, 0, 1)[None]


# The longest name first: what starts like another family's is found before it.
MODULES = sorted([
    ("convnext", "convnext"), ("densenet", "densenet"), ("efficientnetb", "efficientnet"),
    ("efficientnetv2", "efficientnet_v2"), ("inceptionresnetv2", "inception_resnet_v2"),
    ("inceptionv3", "inception_v3"), ("mobilenet", "mobilenet"), ("mobilenetv2", "mobilenet_v2"),
    ("mobilenetv3", "mobilenet_v3"), ("nasnet", "nasnet"), ("resnet", "resnet"), ("resnet50v2", "resnet_v2"),
    ("resnet101v2", "resnet_v2"), ("resnet152v2", "resnet_v2"), ("vgg16", "vgg16"), ("vgg19", "vgg19"),
    ("xception", "xception")], key=lambda pair: -len(pair[0]))


def torchvision_of(entry):
    from _peers import torchvision as load

    models = load().models
    name, tag = entry["name"].split("/")[1].split(":")
    x = models.get_model_weights(name)[tag].transforms()(Image.open(photo).convert("RGB"))[None]
    if name in ("googlenet", "inception_v3"):  # Published with a first step that normalises anew.
        network = type("Published", (), {"transform_input": True})()
        x = (models.GoogLeNet if name == "googlenet" else models.Inception3)._transform_input(network, x)
    return x.numpy()


def timm_of(entry):
    import timm
    from timm.data import create_transform, resolve_data_config

    name = entry["name"].split("/", 1)[1].replace(":", ".")
    settings = timm.get_pretrained_cfg(name).to_dict()
    return create_transform(**resolve_data_config({}, pretrained_cfg=settings))(Image.open(photo).convert("RGB"))[None].numpy()


import skimage

photo = Path(skimage.__file__).parent / "data" / "chelsea.png"
entries = json.loads(subprocess.run([GRAFT, "models", "--json"], check=True, capture_output=True, text=True).stdout)["models"]
for entry in entries:
    name = entry.get("architecture")
    if not name:  # Fetched as it is, not run.
        continue
    publisher = name.split("/")[0] if "/" in name else "keras"
    peer = {"keras": keras_of, "torchvision": torchvision_of, "timm": timm_of}.get(publisher)
    if peer and entry.get("input"):
        # Each Keras module has a `preprocess_input` of its own.
        family = next(m for prefix, m in MODULES if name.startswith(prefix)) if publisher == "keras" else publisher
        compare(entry, family, lambda: peer(entry))
print(f"preprocessing: {sum(seen.values())} entries, {len(seen)} ways, {failures} failed")
sys.exit(1 if failures or len(seen) < 50 else 0)
