"""Networks that graft writes as TensorFlow Lite, by the interpreter and by MediaPipe's reader of metadata.

Checkpoints of PyTorch become TFLite without TensorFlow: the interpreter's answers are PyTorch's and graft's within 1e-5 of the
largest magnitude, in single precision, and in half precision those of the rounded weights. A trained head has its labels
and normalisation in the metadata. One of each kind, or with CONFORMANCE=all every one; names as arguments choose.
"""
import json
import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.filterwarnings("ignore")
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402

import _peers  # noqa: E402
from _graft import complaint, graft, report  # noqa: E402

torchvision = _peers.torchvision()
import timm  # noqa: E402  (after torchvision is there)
from PIL import Image  # noqa: E402

ALL = os.environ.get("CONFORMANCE") == "all"
wanted = sys.argv[1:]


def vision(name, **settings):
    return lambda: getattr(torchvision.models, name)(num_classes=10, **settings)


# Name: how it is built, whether CI runs it.
NETWORKS = {
    "torchvision/mobilenet_v3_small": (vision("mobilenet_v3_small"), True),
    "timm/tf_efficientnet_lite0": (lambda: timm.create_model("tf_efficientnet_lite0", num_classes=10), True),
    "torchvision/resnet50": (vision("resnet50"), False),
    "torchvision/mobilenet_v2": (vision("mobilenet_v2"), False),
    "torchvision/mobilenet_v3_large": (vision("mobilenet_v3_large"), False),
    "torchvision/vgg11": (vision("vgg11"), False),
    "torchvision/convnext_tiny": (vision("convnext_tiny"), False),
    "torchvision/shufflenet_v2_x0_5": (vision("shufflenet_v2_x0_5"), False),
    "torchvision/googlenet": (vision("googlenet", aux_logits=False, init_weights=False), False),
    "torchvision/inception_v3": (vision("inception_v3", aux_logits=False, init_weights=False), False),
    "torchvision/efficientnet_b0": (vision("efficientnet_b0"), False),
    "torchvision/squeezenet1_1": (vision("squeezenet1_1"), False),
    "torchvision/regnet_y_400mf": (vision("regnet_y_400mf"), False),
    "torchvision/mnasnet0_5": (vision("mnasnet0_5"), False),
    "keras/densenet121": (None, False),
}


def error(found, expected):
    """The largest difference, as a share of the largest magnitude."""
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12) if found.shape == expected.shape else np.nan


def interpreted(path, x):
    """The interpreter's answer to images whose channels are last."""
    interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    if tuple(detail["shape"]) != x.shape:
        interpreter.resize_tensor_input(detail["index"], x.shape)
        interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def run(path, x, home, *more):
    np.save(home / "x.npy", np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    graft("run", path, "--input", home / "x.npy", "--output", home / "y.npy", *more)
    return np.load(home / "y.npy")


def scattered(network):
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def torch_network(name, build, home):
    torch.manual_seed(0)
    network = scattered(build().eval())
    weights, path = home / "w.pth", home / "m.tflite"
    torch.save(network.state_dict(), weights)
    graft("convert", weights, "--architecture", name, "-o", path)
    shape = tf.lite.Interpreter(str(path)).get_input_details()[0]["shape"]
    x = np.random.default_rng(0).random(shape, dtype="f4")
    answer = interpreted(path, x)
    with torch.no_grad():
        expected = network(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    report.within(f"{name}: PyTorch", error(answer, expected), 1e-5)
    report.within(f"{name}: read by graft", error(run(path, x, home), answer), 1e-5)
    two = np.concatenate([x, 1 - x])
    both = np.concatenate([answer, interpreted(path, 1 - x)])
    report.within(f"{name}: two images", error(interpreted(path, two), both), 1e-5)
    graft("convert", weights, "--architecture", name, "--dtype", "f16", "-o", path)
    report.within(f"{name}: half precision, read by graft", error(run(path, x, home), interpreted(path, x)), 1e-5)
    report.within(f"{name}: half precision, PyTorch", error(interpreted(path, x), expected), 5e-3)


def keras_network(home):
    import keras

    keras.utils.set_random_seed(1)
    network = keras.applications.DenseNet121(weights=None, classes=10, input_shape=(64, 64, 3))
    _peers.scatter(network)
    network.save(home / "m.keras")
    graft("convert", home / "m.keras", "-o", home / "k.tflite")
    x = np.random.default_rng(0).random((1, 64, 64, 3), dtype="f4")
    report.within("Keras DenseNet121", error(interpreted(home / "k.tflite", x), network.predict(x, verbose=0)), 1e-5)


def metadata(path):
    """The flatbuffer of the metadata, walked by hand as the schema says, and the labels behind the model."""
    from tensorflow.lite.python import schema_py_generated as schema

    content = path.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    blob = next(bytes(model.buffers[m.buffer].data) for m in model.metadata if m.name == b"TFLITE_METADATA")
    with zipfile.ZipFile(path) as archive:
        return blob, archive.read("labels.txt").decode().splitlines()


def trained_head(home):
    """A head of graft's own small network on drawn photos: the labels and the normalisation go along."""
    data, random = home / "data", np.random.default_rng(0)
    for label, colour in (("red", 0), ("green", 1), ("blue", 2)):
        (data / label).mkdir(parents=True)
        for number in range(12):
            photo = random.integers(0, 90, (64, 64, 3))
            photo[..., colour] += 150
            Image.fromarray(photo.astype("u1")).save(data / label / f"{number}.png")
    graft("train", data, "--backbone", "graft/tiny", "-o", home / "run")
    model = next((home / "run").glob("model*.safetensors"))
    path = home / "head.tflite"
    graft("convert", model, "-o", path, "--softmax")
    blob, labels = metadata(path)
    report(labels == ["blue", "green", "red"], "trained head: labels in the metadata", labels)
    report(blob[4:8] == b"M001", "trained head: the metadata's identifier")
    photo = data / "red" / "0.png"
    ours, again = (json.loads(graft("predict", m, photo, "--json"))["photos"][0]["predictions"] for m in (model, path))
    same = [(x["label"], y["label"], abs(x["probability"] - y["probability"])) for x, y in zip(ours, again)]
    report(all(x == y and d < 1e-5 for x, y, d in same), "trained head: the same prediction", same)
    whole = home / "whole.tflite"
    graft("convert", model, "-o", whole, "--with-preprocessing")
    size = tf.lite.Interpreter(str(whole)).get_input_details()[0]["shape"]
    pixels = np.asarray(Image.open(photo).resize((size[2], size[1]), Image.BILINEAR), dtype="f4")[None]
    shares = interpreted(whole, pixels)
    report(labels[int(shares.argmax())] == ours[0]["label"] and abs(shares.max() - ours[0]["probability"]) < 1e-4,
           "trained head: takes pixels, answers probabilities", shares)
    said = complaint("convert", model, "-o", home / "b.tflite", "--dtype", "bf16")
    report("f32 and f16" in said, "bf16 is refused", said.strip()[-100:])


with tempfile.TemporaryDirectory(prefix="graft-tflite-") as folder:
    for name, (build, is_in_ci) in NETWORKS.items():
        if name in wanted if wanted else ALL or is_in_ci:
            torch_network(name, build, Path(folder)) if build else keras_network(Path(folder))
    if not wanted or "head" in wanted:
        trained_head(Path(folder))

report.finish()
