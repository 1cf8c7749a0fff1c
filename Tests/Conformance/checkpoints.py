"""Checkpoints as training programs leave them: graft finds the network in each and answers as the peer does, and names what it leaves out.

PyTorch: prefixes of wrappers, state dicts beside optimisers, arguments, NumPy values and unknown classes, averaged weights, other heads.
Keras 2 and 3: functions on tensors, every `preprocess_input`, weights alone of nested models, several devices, checkpoints of TensorFlow,
Keras 1. NumPy, safetensors: one odd entry. What cannot be run says what it is.
Run by `make conformance` with GRAFT=path of the program; names of parts as arguments choose.
"""
import argparse
import collections
import dataclasses
import enum
import gzip
import json
import os
import pathlib
import pickle
import sys
import tempfile
import types
import zipfile
import zlib

import numpy as np

from _graft import attempt, complaint, graft, report
from _peers import each_alone, torchvision

RESNET = "torchvision/resnet18"


def answer(source, x, folder, *options, layout="nchw"):
    """What graft answers for x, and what it remarks."""
    model, out, image = (os.path.join(folder, n) for n in ("model.safetensors", "y.npy", "x.npy"))
    run = attempt("convert", source, "-o", model, *options)
    if run.returncode:
        raise RuntimeError(run.stderr.strip()[-400:])
    np.save(image, x)
    graft("run", model, "--input", image, "--output", out, "--layout", layout)
    return np.load(out), run.stderr


def same(label, source, x, y, folder, *options, layout="nchw", says=(), tolerance=2e-5):
    """Whether graft answers y, to a share of its size, and remarks what it should."""
    try:
        found, remarks = answer(source, x, folder, *options, layout=layout)
    except RuntimeError as error:
        return report(False, label, str(error))
    if found.size != y.size:
        return report(False, label, f"{found.shape}, expected {y.shape}")
    report.within(label, np.abs(found.reshape(-1) - y.reshape(-1)).max() / max(1, np.abs(y).max()), tolerance)
    for text in says:
        report(text in remarks, f"{label} says {text}", remarks.strip()[-300:])


def refused(label, *arguments, says=()):
    text = complaint(*arguments)
    report(all(s in text for s in says), f"{label} is refused", text.strip()[:300])


class Mode(enum.Enum):
    FAST = 1


@dataclasses.dataclass
class Settings:
    rate: float = 1e-3
    mode: Mode = Mode.FAST


class Meter(dict):
    pass


def lively(model):
    import torch

    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in ((module.weight.data, 0.7, 1.3), (module.bias.data, -0.2, 0.2), (module.running_mean, -0.2, 0.2),
                                      (module.running_var, 0.6, 1.6)):
                tensor.uniform_(low, high, generator=generator)
    return model.eval()


def torch_part(folder):
    import torch
    from safetensors.torch import save_file

    vision = torchvision()
    torch.manual_seed(1)
    net = lively(vision.models.resnet18(num_classes=6))
    other = lively(vision.models.resnet18(num_classes=6))
    x = torch.randn(2, 3, 64, 64)
    optimizer = torch.optim.AdamW(net.parameters())
    net(x).sum().backward()
    optimizer.step()
    with torch.no_grad():
        y, z = net(x).numpy(), other(x).numpy()
    state, x = net.state_dict(), x.numpy()
    named = ("--architecture", RESNET)

    def put(name, value, **options):
        path = os.path.join(folder, name)
        torch.save(value, path, **options)
        return path

    def under(prefix, state=state):
        return collections.OrderedDict((prefix + k, v) for k, v in state.items())

    for prefix in ("module.", "_orig_mod.", "model.", "net.", "encoder.module._orig_mod.backbone."):
        same(f"prefix {prefix}", put("p.pth", under(prefix)), x, y, folder, *named, says=[f"`{prefix}`"])
    same("DataParallel, compiled", put("w.pth", torch.nn.DataParallel(torch.compile(net)).state_dict()), x, y, folder,
         says=["`module._orig_mod.`"])
    infix = {k.replace("layer1.", "layer1._orig_mod.").replace("layer2.1.", "layer2.1.module."): v for k, v in state.items()}
    same("wrappers of some modules", put("infix.pth", infix), x, y, folder, *named, says=["`_orig_mod.`", "`module.`", "inside"])
    averaged = torch.optim.swa_utils.AveragedModel(net)
    same("AveragedModel", put("swa.pth", averaged.state_dict()), x, y, folder, *named, says=["n_averaged"])

    beside = dict(args=argparse.Namespace(lr=1e-3, out=pathlib.Path("/tmp")), best=np.float64(0.93), history=np.arange(5.0), mode=Mode.FAST,
                  settings=Settings(), meters=collections.defaultdict(list, {"loss": [1.0]}), counts=collections.Counter("aab"),
                  meter=Meter(a=1), device=torch.device("cpu"), dtype=torch.float16, size=torch.Size([1, 2]), set={1, 2}, frozen=frozenset([3]),
                  numbers=np.array([1 + 2j]), date=np.datetime64("2024-01-01"), big=1 << 90, none=None, complex=1j, bytes=b"ab",
                  optimizer=optimizer.state_dict(), rng=np.random.default_rng(0), rng_state=torch.get_rng_state(), type=np.ndarray,
                  function=len, slice=slice(1, 2), array=bytearray(b"xy"))
    for protocol in (2, 3, 4, 5):
        same(f"state_dict beside {len(beside)} other things, protocol {protocol}",
             put("beside.pth", dict(epoch=3, state_dict=state, **beside), pickle_protocol=protocol), x, y, folder, *named)
    same("before the zip format", put("legacy.pth", dict(model=state, **beside), _use_new_zipfile_serialization=False), x, y, folder, *named)
    same("under a key that nobody listed", put("key.pth", dict(generator=state, optimizer=optimizer.state_dict())), x, y, folder,
         *named, says=["`generator.`", "optimizer"])
    same("a list with the optimiser", put("list.pth", [state, optimizer.state_dict()]), x, y, folder, *named, says=["`0.`"])
    same("an object's attributes", put("space.pth", types.SimpleNamespace(model=state, epoch=3)), x, y, folder, *named, says=["`model.`"])
    for channels in (1, 4):
        other_stem = vision.models.resnet18(num_classes=6)
        other_stem.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        bands = torch.randn(2, channels, 64, 64)
        with torch.no_grad():
            expected = lively(other_stem)(bands).numpy()
        for prefix in ("", "module."):
            same(f"{channels} channels, prefix `{prefix}`", put("c.pth", under(prefix, other_stem.state_dict())), bands.numpy(), expected, folder)
    same("a whole module", put("module.pt", net), x, y, folder, *named, says=["resnet.ResNet"])
    same("parameters", put("parameter.pth", {k: torch.nn.Parameter(v, v.is_floating_point()) for k, v in state.items()}), x, y, folder, *named)

    lightning = dict(under("model."), **{"criterion.weight": torch.ones(6), "train_acc.tp": torch.zeros(6), "val_metrics.confmat": torch.zeros(6, 6)})
    same("Lightning", put("l.ckpt", {"state_dict": lightning, "optimizer_states": [optimizer.state_dict()], "hyper_parameters": dict(lr=1),
                                     "callbacks": {"ModelCheckpoint": {"best": torch.tensor(0.3)}}, "loops": {"fit_loop": {}}}),
         x, y, folder, *named, says=["`model.`", "criterion.weight", "train_acc.tp", "val_metrics.confmat"])

    both = put("both.pth", {"state_dict": state, "state_dict_ema": other.state_dict()})
    same("EMA beside", both, x, y, folder, *named, says=["`state_dict_ema`"])
    same("EMA chosen", both, x, z, folder, *named, "--state-dict", "state_dict_ema")
    flat = put("flat.pth", dict(under("model."), **under("model_ema.", other.state_dict())))
    same("EMA among the names", flat, x, y, folder, *named, says=["`model.`", "model_ema"])
    same("EMA chosen by its prefix", flat, x, z, folder, *named, "--state-dict", "model_ema")
    same("EMA alone", put("ema.pth", {"ema": {"shadow": other.state_dict(), "decay": 0.999}}), x, z, folder, *named)

    two = put("two.pth", dict(under("rgb."), **under("depth.", other.state_dict())))
    refused("two networks", "convert", two, "-o", os.path.join(folder, "o"), *named, says=["`rgb.`", "`depth.`", "--state-dict"])
    same("one of two networks", two, x, z, folder, *named, "--state-dict", "depth")
    larger = vision.models.resnet34(num_classes=6).state_dict()
    refused("ResNet-34 as ResNet-18", "convert", put("34.pth", larger), "-o", os.path.join(folder, "o"), *named, says=["layer1.2"])
    attention = dict(state, **{"layer1.0.se.fc.weight": torch.zeros(4, 64)})
    refused("a layer inside", "convert", put("se.pth", attention), "-o", os.path.join(folder, "o"), *named, says=["layer1.0.se.fc.weight"])

    # Another head: the backbone's features are the peer's.
    head = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(512, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
    body = torch.nn.Sequential(*list(net.children())[:-1])
    with torch.no_grad():
        features = body(torch.from_numpy(x)).flatten(1).numpy()
    custom = {k: v for k, v in state.items() if not k.startswith("fc.")}
    custom.update({"fc." + k: v for k, v in head.state_dict().items()})
    for label, value in (("Sequential head", custom), ("children in a Sequential", body.state_dict()),
                         ("fastai", torch.nn.Sequential(body[:-1], head).state_dict()),
                         ("backbone and head", dict(under("backbone.", body.state_dict()), **{"head.weight": torch.zeros(2, 512)}))):
        same(label, put("h.pth", value), x, features, folder, *named, "--notop")
        done = attempt("convert", put("h.pth", value), "-o", os.path.join(folder, "o.safetensors"), *named)
        report(done.returncode == 0 and "note:" in done.stderr, f"{label} without --notop", done.stderr.strip()[:300])

    tensors = {k: v.contiguous() for k, v in under("_orig_mod.module.").items()}
    wrapped = os.path.join(folder, "w.safetensors")
    save_file(tensors, wrapped)
    same("safetensors with a prefix", wrapped, x, y, folder, *named, says=["`_orig_mod.module.`"])
    run = attempt("diff", wrapped, put("plain.pth", state))
    report(run.returncode == 0 and "the same: 102" in run.stdout, "diff through prefixes", run.stdout.strip()[-200:] + run.stderr[-200:])
    run = attempt("diff", put("a.pth", custom), wrapped)
    report(run.returncode == 1 and "100 tensors equal" in run.stdout, "diff with another head", run.stdout.strip()[-200:])

    out = os.path.join(folder, "o")
    torch.jit.trace(net, torch.from_numpy(x)).save(os.path.join(folder, "t.pt"))
    refused("TorchScript", "convert", os.path.join(folder, "t.pt"), "-o", out, says=["TorchScript"])
    torch.export.save(torch.export.export(net, (torch.from_numpy(x),)), os.path.join(folder, "e.pt2"))
    same("torch.export", os.path.join(folder, "e.pt2"), x, y, folder)


def timm_part(folder):
    import torch

    torchvision()
    import timm

    torch.manual_seed(2)
    net = lively(timm.create_model("tf_efficientnet_lite0", num_classes=4))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        y = net(x).numpy()
    named = ("--architecture", "timm/tf_efficientnet_lite0")
    path = os.path.join(folder, "checkpoint-3.pth.tar")
    ema = timm.utils.ModelEmaV2(net)
    torch.save({"epoch": 3, "arch": "tf_efficientnet_lite0", "state_dict": torch.nn.DataParallel(net).state_dict(),
                "args": argparse.Namespace(model="m"), "metric": np.float32(0.5), "version": 2, "state_dict_ema": ema.state_dict()}, path)
    same("timm's train.py", path, x.numpy(), y, folder, *named, says=["state_dict_ema", "`module.`"])
    unknown = os.path.join(folder, "hub")
    os.makedirs(unknown)
    torch.save(timm.create_model("resnet26t", num_classes=3).state_dict(), os.path.join(unknown, "pytorch_model.bin"))
    json.dump({"architecture": "resnet26t", "num_classes": 3}, open(os.path.join(unknown, "config.json"), "w"))
    refused("a network without code", "convert", unknown, "-o", os.path.join(folder, "o"), says=["resnet26t", "not built into graft"])


def save_keras(K, model, x, name, folder):
    files = []
    for ending in ("h5", "keras"):
        path = os.path.join(folder, f"{name}.{ending}")
        try:
            model.save(path)
        except TypeError as error:  # Keras 2 cannot write `...` into a .keras.
            report.skip(f"{K.__name__}: {path[-7:]}", str(error)[:60])
            continue
        files.append(path)
    return files, model.predict(x, verbose=0)


def keras_part(folder, K):
    import tensorflow as tf

    random, L = np.random.default_rng(4), K.layers
    x = random.uniform(0, 255, (2, 32, 32, 3)).astype("f4")

    def network(before, size=(32, 32)):
        image = K.Input((*size, 3))
        t = before(image)
        t = L.Conv2D(6, 3, strides=2)(t)
        t = L.GlobalAveragePooling2D()(t)
        model = K.Model(image, L.Dense(4)(t))
        model.set_weights([random.normal(0, 0.1, w.shape) for w in model.get_weights()])
        return model

    three, A = np.array([1.0, 2.0, 3.0], "f4"), K.applications
    befores = {
        "tf mode": A.mobilenet_v2.preprocess_input, "caffe mode": A.resnet50.preprocess_input, "torch mode": A.densenet.preprocess_input,
        "no mode": A.efficientnet.preprocess_input, "x / 255": lambda t: t / 255.0, "1 - x": lambda t: 1.0 - t, "-x": lambda t: -t,
        "x - array": lambda t: (t - three) / (three + 4), "array - x": lambda t: K.ops.subtract(three, t) if hasattr(K, "ops") else tf.subtract(three, t), "x * y": lambda t: t * (t * 0.01),
        "x ** 2": lambda t: (t * 0.01) ** 2, "reversed": lambda t: t[..., ::-1] if K.__name__ == "tf_keras" else K.ops.flip(t, -1),
        "two channels": lambda t: t[..., :2], "a crop": lambda t: t[:, 2:-3, 1:30],
        "Resizing": L.Resizing(21, 45), "square roots": lambda t: K.ops.sqrt(K.ops.abs(t) + 1) if hasattr(K, "ops") else tf.sqrt(tf.abs(t) + 1),
        "Resizing up": L.Resizing(64, 96), "Resizing to itself": L.Resizing(32, 32), "nearest": L.Resizing(64, 64, interpolation="nearest"),
    }
    if K.__name__ == "tf_keras":
        nn = tf.nn
        befores |= {"functions": lambda t: nn.relu6(tf.concat([nn.relu(t - 99), nn.swish(t * 0.1), nn.leaky_relu(t - 99)], -1)),
                    "clip_by_value": lambda t: tf.clip_by_value(t, 3.0, 99.0), "cast": lambda t: tf.cast(t, tf.float32) / 255.0,
                    "maximum": lambda t: tf.minimum(tf.maximum(t, 20.0), 90.0), "gelu": lambda t: nn.gelu(t * 0.01),
                    "squeeze and excite": lambda t: t * tf.sigmoid(tf.reduce_mean(t * 0.01, [1, 2], keepdims=True)),
                    "stacked": lambda t: tf.stack([t[..., 2], t[..., 0]], -1)}
    else:
        o = K.ops
        befores |= {"functions": lambda t: o.relu6(o.concatenate([o.relu(t - 99), o.silu(t * 0.1), o.leaky_relu(t - 99)], -1)),
                    "clip": lambda t: o.clip(t, 3.0, 99.0), "cast": lambda t: o.cast(t, "float32") / 255.0,
                    "maximum": lambda t: o.minimum(o.maximum(t, 20.0), 90.0), "gelu": lambda t: o.gelu(t * 0.01, approximate=False),
                    "squeeze and excite": lambda t: t * o.sigmoid(o.mean(t * 0.01, (1, 2), keepdims=True))}
    for name, before in befores.items():
        files, y = save_keras(K, network(before), x, "m", folder)
        for path in files[:1] if name != "caffe mode" else files:
            same(f"{K.__name__}: {name}, {path[-3:]}", path, x, y, folder, layout="nhwc")
    larger = random.uniform(0, 255, (2, 41, 38, 3)).astype("f4")
    files, y = save_keras(K, network(L.CenterCrop(32, 33), (41, 38)), larger, "crop", folder)
    same(f"{K.__name__}: CenterCrop", files[-1], larger, y, folder, layout="nhwc")
    files, y = save_keras(K, K.Sequential([K.Input((37, 21, 3)), L.Conv2D(4, 3), L.Flatten(), L.Dense(3)]),
                          random.uniform(0, 1, (2, 37, 21, 3)).astype("f4"), "flat", folder)
    report(attempt("convert", files[0], "-o", os.path.join(folder, "o.safetensors")).returncode == 0, f"{K.__name__}: Flatten of an odd size")

    # Weights alone of a model around a model; its body's features are the peer's.
    base = A.MobileNetV2(alpha=0.35, input_shape=(64, 64, 3), include_top=False, weights=None)
    base.set_weights([random.uniform(0.6, 1.4, w.shape) if w.ndim == 1 else random.normal(0, 0.2, w.shape) for w in base.get_weights()])
    model = K.Sequential([K.Input((64, 64, 3)), base, L.GlobalAveragePooling2D(), L.Dense(3)])
    image = random.uniform(-1, 1, (1, 64, 64, 3)).astype("f4")
    features = base.predict(image, verbose=0).mean((1, 2))
    # Keras 3's form, written by Keras 2, names no layer: it numbers those of each class, and says nothing of the network.
    named = ["--architecture", "mobilenetv2:0.35"] if K.__name__ == "tf_keras" else []
    for ending in ["weights.h5"] if K.__name__ == "keras" else ["weights.h5", "h5"]:
        path, options = os.path.join(folder, f"nested.{ending}"), named if ending == "weights.h5" else []
        model.save_weights(path)
        same(f"{K.__name__}: .{ending} of a nested model", path, image, features, folder, "--notop", *options, layout="nhwc", tolerance=1e-4)
        report("note: left out the head" in attempt("convert", path, "-o", os.path.join(folder, "o.safetensors"), *options).stderr,
               f"{K.__name__}: .{ending}, its head is left out with a word")
    whole = A.MobileNetV2(alpha=0.35, input_shape=(64, 64, 3), weights=None, classes=5)
    whole.set_weights([random.uniform(0.6, 1.4, w.shape) if w.ndim == 1 else random.normal(0, 0.2, w.shape) for w in whole.get_weights()])
    around = K.Input((64, 64, 3))
    path = os.path.join(folder, "around.weights.h5" if K.__name__ == "keras" else "around.h5")
    K.Model(around, whole(around)).save_weights(path)
    same(f"{K.__name__}: weights of a model around a whole one", path, image, whole.predict(image, verbose=0), folder, layout="nhwc", tolerance=1e-4)
    whole = A.MobileNet(alpha=0.25, input_shape=(64, 64, 3), weights=None, classes=4)
    whole.compile("adam", "sparse_categorical_crossentropy")
    whole.fit(image, np.zeros(1), verbose=0)
    prefix = os.path.join(folder, "tf", "model")
    os.makedirs(os.path.dirname(prefix))
    tf.train.Checkpoint(model=whole, optimizer=whole.optimizer, step=tf.Variable(3)).save(prefix)
    same(f"{K.__name__}: tf.train.Checkpoint", os.path.dirname(prefix), image, whole.predict(image, verbose=0), folder, layout="nhwc",
         says=["save_counter"])


def keras2_part(folder):
    import tf_keras as K

    keras_part(folder, K)
    random, L = np.random.default_rng(5), K.layers
    inner = K.applications.MobileNet(alpha=0.25, input_shape=(64, 64, 3), weights=None, classes=6)
    inner.set_weights([random.uniform(0.6, 1.4, w.shape) if w.ndim == 1 else random.normal(0, 0.2, w.shape) for w in inner.get_weights()])
    image = K.Input((64, 64, 3))
    parts = [L.Lambda(lambda t, i, parts: t[i::parts], arguments=dict(i=i, parts=2), name=f"lambda_{i}")(image) for i in range(2)]
    model = K.Model(image, L.Concatenate(axis=0, name="scores")([inner(p) for p in parts]))
    x = random.uniform(-1, 1, (2, 64, 64, 3)).astype("f4")
    y = inner.predict(x, verbose=0)
    model.save(os.path.join(folder, "gpus.h5"))
    model.save_weights(os.path.join(folder, "gpus_weights.h5"))
    same("several devices", os.path.join(folder, "gpus.h5"), x, y, folder, layout="nhwc", says=["splits batches"])
    same("weights of several devices", os.path.join(folder, "gpus_weights.h5"), x, y, folder, layout="nhwc")


def keras3_part(folder):
    import h5py
    import keras as K

    keras_part(folder, K)
    random, L = np.random.default_rng(6), K.layers
    model = K.Sequential([K.Input((12, 12, 3)), L.Conv2D(4, 3), L.ReLU(max_value=6.0), L.Flatten(), L.Dense(3)])
    model.quantize("int8")
    model.save(os.path.join(folder, "int8.keras"))
    refused("an int8 model", "convert", os.path.join(folder, "int8.keras"), "-o", os.path.join(folder, "o"), says=["quantised (int8)"])
    # As TensorFlow 1.11 wrote the settings of ReLU, and as Keras 1 wrote a whole model.
    model = K.Sequential([K.Input((12, 12, 3)), L.Conv2D(4, 3, name="c", padding="same"), L.ReLU(max_value=6.0), L.MaxPooling2D(), L.Flatten(),
                          L.Dense(3, name="d")])
    x = random.normal(0, 5, (2, 12, 12, 3)).astype("f4")
    path = os.path.join(folder, "relu.h5")
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "ReLU":
                layer["config"].update({k: {"type": "ndarray", "value": v} for k, v in (("max_value", 6.0), ("negative_slope", 0.0), ("threshold", 0.0))})
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.1.6-tf"
    y = model.predict(x, verbose=0)
    same("ReLU of TensorFlow 1.11", path, x, y, folder, layout="nhwc")
    layers = [("Convolution2D", dict(name="c", nb_filter=4, nb_row=3, nb_col=3, activation="linear", border_mode="same", subsample=[1, 1],
                                     dim_ordering="tf", bias=True, batch_input_shape=[None, 12, 12, 3])),
              ("ReLU", dict(name="r", max_value=6.0)), ("MaxPooling2D", dict(name="p", pool_size=[2, 2], strides=[2, 2], border_mode="valid",
                                                                             dim_ordering="tf")),
              ("Flatten", dict(name="f")), ("Dropout", dict(name="o", p=0.5)), ("Dense", dict(name="d", output_dim=3, activation="linear", bias=True))]
    path = os.path.join(folder, "keras1.h5")
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [{"class_name": k, "config": c} for k, c in layers]})
        file.attrs["keras_version"] = "1.2.2"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [c["name"].encode() for _, c in layers]
        weights = iter(model.get_weights())
        for _, config in layers:
            name = config["name"]
            names = [f"{name}_W:0", f"{name}_b:0"] if name in "cd" else []
            inner = group.create_group(name)
            inner.attrs["weight_names"] = np.array([n.encode() for n in names], dtype="S20")
            for n in names:
                inner[n] = next(weights)
    same("a whole model of Keras 1", path, x, y, folder, layout="nhwc")


def other_part(folder):
    import safetensors
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression

    def put(name, data):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    path = os.path.join(folder, "odd.npz")
    np.savez_compressed(path, names=np.array(["cat", "dog"]), c=np.ones(2, np.complex128), o=np.array(["a", None], dtype=object),
                        d=np.array(["2024-01-01"], "M8[D]"), r=np.zeros(2, [("a", "f4")]), w=np.arange(6.0).reshape(2, 3))
    run = attempt("inspect", path, "--json")
    names = [t["name"] for t in json.loads(run.stdout)["tensors"]] if run.returncode == 0 else []
    report(names == ["w"] and all(f"`{n}`" in run.stderr for n in "cdor"), "odd arrays are skipped with a word", run.stderr.strip()[:300])
    tensor = json.dumps({"__metadata__": None, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = put("null.safetensors", len(tensor).to_bytes(8, "little") + tensor + bytes(4))
    with safetensors.safe_open(path, "np") as file:
        theirs = list(file.keys())
    report([t["name"] for t in json.loads(graft("inspect", path, "--json"))["tensors"]] == theirs, "metadata that is null")
    save_file({"/Constant_output_0": np.ones(2, "f4"), "a.w": np.ones(3, "f4"), "a/w": np.ones(4, "f4")}, os.path.join(folder, "n.safetensors"))
    graft("convert", os.path.join(folder, "n.safetensors"), "--to", "keras-h5", "-o", os.path.join(folder, "n.h5"))
    import h5py

    found = []
    with h5py.File(os.path.join(folder, "n.h5")) as file:
        file.visititems(lambda name, item: found.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    report(sorted(found) == [(2,), (3,), (4,)], "names that HDF5 has no place for", found)
    archive = os.path.join(folder, "converted_keras.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("keras_model.h5", b"x")
        file.writestr("labels.txt", b"0 cat")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 46830571\n"
    for label, name, data, says in (
            ("an LFS pointer", "p.safetensors", pointer, ["46830571", "abab", "git lfs pull"]), ("a page", "p.h5", b"<!doctype html><title>Login</title>", ["HTML", "Login"]),
            ("a server's error", "e.onnx", b'{"error": "Invalid token"}', ["Invalid token"]), ("nothing", "n.keras", b"", ["empty"]),
            ("scikit-learn", "s.pkl", pickle.dumps(LogisticRegression()), ["scikit-learn"]), ("joblib", "s.joblib", zlib.compress(b"abc"), ["joblib"]),
            ("TensorFlow.js", "model.json", b'{"modelTopology": {}, "weightsManifest": []}', ["TensorFlow.js"]),
            ("gzip", "g.pth", gzip.compress(b"abc"), ["gzip", "gunzip"]), ("text", "t.npz", b"Entry not found", ["Entry not found"])):
        refused(label, "convert", put(name, data), "-o", os.path.join(folder, "o"), says=says)
    refused("a zip archive of a model", "inspect", archive, says=["keras_model.h5", "unzip"])


if __name__ == "__main__":
    def alone(part):
        def run():
            with tempfile.TemporaryDirectory() as folder:
                part(folder)
            report.finish()
        return run

    sys.exit(bool(each_alone(__file__, torch=alone(torch_part), timm=alone(timm_part), keras2=alone(keras2_part), keras3=alone(keras3_part), other=alone(other_part))))
