"""What graft exports to Keras, Keras loads and computes the same numbers with.

Several networks are written as `.keras`, and some as legacy `.h5` and `.weights.h5`; seeded random weights.
Run by `make conformance` with GRAFT=path of the program.
"""
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
from safetensors.numpy import save_file

from _graft import graft, report, weights


names = sys.argv[1:] or ["resnet50", "densenet121", "mobilenetv2", "torchvision/resnet18",
                         "torchvision/mobilenet_v2", "timm/tf_efficientnet_lite0"]
with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    for name in names:
        random = np.random.default_rng(1)
        try:
            save_file(weights(name, random), at("w.safetensors"))
            graft("convert", at("w.safetensors"), "--architecture", name, "-o", at("m.safetensors"))
            graft("convert", at("m.safetensors"), "--to", "keras", "-o", at("m.keras"))
            model = keras.models.load_model(at("m.keras"))
            x = random.normal(size=(1, *model.input_shape[1:])).astype("f4")
            np.save(at("x.npy"), x)
            graft("run", at("m.safetensors"), "--input", at("x.npy"), "--output", at("y.npy"), "--layout", "nhwc")
            ours, theirs = np.load(at("y.npy")), np.asarray(model(x, training=False))
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"{name} -> .keras", f"relative error {error:.1e}")
            if name in ("resnet50", "mobilenetv2"):
                graft("convert", at("m.safetensors"), "--to", "keras-h5", "-o", at("m.h5"))
                again = keras.models.load_model(at("m.h5"), compile=False)
                report(np.allclose(again(x, training=False), theirs, atol=1e-6), f"{name} -> legacy .h5, load_model")
                stock = getattr(keras.applications, {"resnet50": "ResNet50", "mobilenetv2": "MobileNetV2"}[name])(weights=None)
                stock.load_weights(at("m.h5"))
                error = np.abs(np.asarray(stock(x, training=False)) - theirs).max() / np.abs(theirs).max()
                report(error < 1e-5, f"{name} -> legacy .h5, load_weights of keras.applications", f"{error:.1e}")
                graft("convert", at("m.safetensors"), "--to", "keras-weights", "-o", at("m.weights.h5"))
                for variable in model.weights:
                    variable.assign(np.zeros(variable.shape))
                model.load_weights(at("m.weights.h5"))
                report(np.allclose(model(x, training=False), theirs, atol=1e-6), f"{name} -> .weights.h5, load_weights")
        except Exception as error:
            report(False, name, f"{type(error).__name__}: {str(error)[-600:]}")
report.finish()
