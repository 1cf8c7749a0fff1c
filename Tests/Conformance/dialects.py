"""One network under its publishers' names: Keras, torchvision, timm and transformers load what graft renames.

The weights are random; the peers' own code gives the same logits before and after. A variant is refused by what differs.
Run by `make conformance` with GRAFT=path of the program.
"""
import os
import tempfile
import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import safetensors.torch
import torch

from _graft import attempt, report
from _peers import torchvision
from _weights import keras_legacy, randomise_keras, randomise_torch

models = torchvision().models  # Before those who import it themselves.
import timm
import transformers

transformers.logging.set_verbosity_error()


def convert(source, architecture, out, to="safetensors"):
    run = attempt("convert", source, "--architecture", architecture, "--to", to, "-o", out)
    if run.returncode:
        raise RuntimeError(f"{architecture}: {run.stderr.strip()[-400:]}")
    return out


def load(model, path):
    """The peer itself takes the file; only counters of batches may be missing."""
    result = model.load_state_dict(safetensors.torch.load_file(path), strict=False)
    assert not result.unexpected_keys and all(k.endswith("num_batches_tracked") for k in result.missing_keys), result
    return model.eval()


def logits(model, x):
    with torch.no_grad():
        y = model(torch.from_numpy(x))
    return (y.logits if hasattr(y, "logits") else y).numpy()


def same(a, b, label):
    error = np.abs(a - b).max() / np.abs(b).max()
    report(error < 1e-4, label, f"relative error {error:.1e}")


def refused(source, architecture, *words):
    run = attempt("convert", source, "--architecture", architecture, "-o", source + ".out")
    good = run.returncode == 1 and all(w in run.stderr for w in words)
    report(good, f"refused as {architecture}", run.stderr.strip().split("\n")[0][-230:])


def equal(a, b, label):
    run = attempt("diff", a, b)
    report(run.returncode == 0, f"graft diff: {label}", run.stdout.strip().split("\n")[-1] + run.stderr[-200:])


def resnet(at):
    x = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype("f4")
    ours = randomise_torch(models.resnet50(num_classes=7))
    torch.save(ours.state_dict(), at("tv.pth"))
    theirs = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=7))
    expected = logits(ours, x)
    same(logits(load(theirs, convert(at("tv.pth"), "transformers/resnet50", at("hf.safetensors"))), x), expected,
         "torchvision ResNet50 in transformers")
    same(logits(load(timm.create_model("resnet50", num_classes=7), convert(at("hf.safetensors"), "timm/resnet50", at("timm.safetensors"))), x),
         expected, "and then in timm")
    theirs.save_pretrained(at("hf"))
    back = convert(at("hf"), "torchvision/resnet50", at("back.safetensors"))
    same(logits(load(models.resnet50(num_classes=7), back), x), expected, "and then in torchvision, from transformers' folder")
    equal(at("tv.pth"), at("hf"), "torchvision's file and transformers' folder")
    keras_legacy(keras.applications.ResNet50(weights=None, classes=7), at("k.h5"))
    refused(at("k.h5"), "torchvision/resnet50", "biases", "stride", "1.001e-05")
    refused(at("hf.safetensors"), "resnet50", "biases", "stride")
    run = attempt("diff", at("tv.pth"), at("k.h5"))
    report(run.returncode == 1 and "stride" in run.stderr, "graft diff of variants says what differs", run.stderr[:160])


def mobilenet(at):
    x = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype("f4")
    for label, name, keras_model, config, hf_model in [
        ("MobileNet", "mobilenet", keras.applications.MobileNet, transformers.MobileNetV1Config, transformers.MobileNetV1ForImageClassification),
        ("MobileNetV2", "mobilenetv2", keras.applications.MobileNetV2, transformers.MobileNetV2Config, transformers.MobileNetV2ForImageClassification),
    ]:
        dialect = f"transformers/mobilenet_v{2 if 'V2' in label else 1}"
        source = randomise_keras(keras_model(weights=None, classes=7, classifier_activation=None))
        keras_legacy(source, at(f"{name}.h5"))
        expected = np.asarray(source(x.transpose(0, 2, 3, 1), training=False))
        hf = load(hf_model(config(num_labels=7)), convert(at(f"{name}.h5"), dialect, at(f"{name}.hf.safetensors")))
        same(logits(hf, x), expected, f"Keras' {label} in transformers")
        convert(at(f"{name}.hf.safetensors"), name, at(f"{name}.keras"), "keras")
        again = keras.models.load_model(at(f"{name}.keras"))
        scores = np.log(np.asarray(again(x.transpose(0, 2, 3, 1), training=False)))
        same(scores - scores.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), "and then in Keras")
        equal(at(f"{name}.h5"), at(f"{name}.hf.safetensors"), f"Keras' file of {label} and transformers'")
    refused(at("mobilenetv2.h5"), "torchvision/mobilenet_v2", "0.001", "padding")
    refused(at("mobilenetv2.hf.safetensors"), "timm/mobilenetv2_100", "0.001", "padding")
    tv = randomise_torch(models.mobilenet_v2(num_classes=7))
    torch.save(tv.state_dict(), at("tv.pth"))
    there = convert(at("tv.pth"), "timm/mobilenetv2_100", at("timm.safetensors"))
    same(logits(load(timm.create_model("mobilenetv2_100", num_classes=7), there), x), logits(tv, x), "torchvision's MobileNetV2 in timm")
    same(logits(load(models.mobilenet_v2(num_classes=7), convert(there, "torchvision/mobilenet_v2", at("tv.safetensors"))), x), logits(tv, x),
         "and then in torchvision")
    refused(at("tv.pth"), "mobilenetv2", "1e-05", "padding")


def vgg(at):
    x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype("f4")
    source = keras.applications.VGG16(weights=None, classes=7, classifier_activation=None)
    expected = np.asarray(source(x.transpose(0, 2, 3, 1), training=False))
    keras_legacy(source, at("k.h5"))
    there = convert(at("k.h5"), "torchvision/vgg16", at("tv.safetensors"))
    with torch.device("meta"):
        empty = models.vgg16(num_classes=7)
    empty.load_state_dict(safetensors.torch.load_file(there), assign=True)
    same(logits(empty.eval(), x), expected, "Keras' VGG16 in torchvision")
    os.remove(at("k.h5"))
    convert(there, "timm/vgg16", at("timm.safetensors"))
    os.remove(there)
    with torch.device("meta"):
        empty = timm.create_model("vgg16", num_classes=7)
    empty.load_state_dict(safetensors.torch.load_file(at("timm.safetensors")), assign=True)
    same(logits(empty.eval(), x), expected, "and then in timm")
    convert(at("timm.safetensors"), "vgg16", at("back.h5"), "keras-h5")
    source.layers[1].set_weights([w * 0 for w in source.layers[1].get_weights()])
    source.load_weights(at("back.h5"))
    same(np.asarray(source(x.transpose(0, 2, 3, 1), training=False)), expected, "and then in Keras")


with tempfile.TemporaryDirectory() as root:
    for part in [resnet, mobilenet, vgg]:
        folder = os.path.join(root, part.__name__)
        os.makedirs(folder)
        try:
            part(lambda name, folder=folder: os.path.join(folder, name))
        except Exception as error:
            report(False, part.__name__, f"{type(error).__name__}: {str(error)[-500:]}")
report.finish()
