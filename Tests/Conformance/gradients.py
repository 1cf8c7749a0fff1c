"""Gradients of a training step through the built-in networks, against their publishers' own code.

Cross entropy over two images, every weight learning, BatchNorm with its running statistics on both
sides. Each tensor's gradient agrees within 1e-3 of its largest magnitude; what is less than a
thousandth of the network's largest gradient is compared at that scale. Where rounding puts an
activation on the other side of ReLU's kink, or another pixel first in a maximum, two right answers
in single precision differ by more: then the peer's own code in double precision is the judge, and graft's
gradient must be within 1e-3 of that; where the peer's own single precision is not, no farther from it than the
peer, and never by more than 2e-2. If that fails too, other images are drawn, up to fifteen times: random networks
magnify the rounding of some images a thousandfold, whoever computes. A wrong formula fails on all. One network of
each family, or with CONFORMANCE=all every one; names as arguments choose.
"""
import copy
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from _graft import graft
from _networks import KERAS, SHORT, TIMM, TORCHVISION
from _weights import keras_copy, keras_double, keras_legacy, randomise_keras, randomise_torch

ALL = os.environ.get("CONFORMANCE") == "all"
TOLERANCE = 1e-3
KINKS = 2e-2  # One of VGG16's 27 million activations on the other side moves a gradient by up to so much.
failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-gradients-"))


def compare(name, labels, layout, images, gradients):
    """images(seed); gradients(images, double): the peer's gradients and its loss."""
    global failures
    for seed in range(3, 19):
        x = images(seed)
        ours = graft_gradients(x, labels, layout)
        theirs, loss = gradients(x, False)
        wrong, worst, where = differences(ours, theirs, theirs)
        gap = abs(float(ours["losses"][0]) - loss) / abs(loss)
        largest = max(float(np.abs(g).max()) for g in theirs.values())
        whole = not wrong and gap <= 1e-4 and np.isfinite(largest) and largest > 1e-12
        ok, judged = whole and worst <= TOLERANCE, ""
        if whole and not ok:
            exact, _ = gradients(x, True)
            mine, peer = (differences(side, exact, exact)[1] for side in (ours, theirs))
            ok = mine <= max(TOLERANCE, min(peer, KINKS))
            judged = f"; to double precision {mine:.1e}, the peer's own {peer:.1e}"
        if ok:
            break
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {len(theirs)} gradients, worst {worst:.1e} at {where}, loss {gap:.1e}"
          + judged + (f"; only on one side: {wrong[:3]}" if wrong else "")
          + (f" (images {seed - 2})" if seed > 3 else ""), flush=True)


def graft_gradients(x, labels, layout):
    """By sums as they are defined: the last digits that transforms change put values at the kinks of ReLU on the other
    side (batchnorm.py says how much that moves); that they give the gradients of the sums is in GradientTests."""
    from safetensors.numpy import load_file

    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", np.asarray(labels))
    graft("gradients", folder / "m.safetensors", "--input", folder / "x.npy", "--labels", folder / "y.npy",
          "-o", folder / "g.safetensors", "--layout", layout, "--accuracy", "exact")
    return load_file(folder / "g.safetensors")


def differences(some, others, scale):
    """The names on one side only, and the worst difference of the rest with its tensor's name."""
    largest = max(float(np.abs(g).max()) for g in scale.values())
    worst, where = 0.0, "none"
    wrong = sorted((set(some) ^ set(others)) - {"losses"})
    for key in set(some) & set(others):
        if some[key].size != others[key].size:
            wrong.append(key)
            continue
        error = np.abs(some[key].reshape(-1) - others[key].reshape(-1)).max()
        error = float(error / max(float(np.abs(scale[key]).max()), 1e-3 * largest))
        if not error <= worst:
            worst, where = error, key
    return wrong, worst, where


def chosen(name):
    return name in sys.argv[1:] if len(sys.argv) > 1 else ALL or name in SHORT


def side(name):
    if "inception" in name:
        return 107
    return 231 if name.startswith("timm/vgg") else 75


def torch_models():
    import torch
    from _peers import torchvision as load

    torchvision = load()
    import timm

    cases = [(f"torchvision/{n}", getattr(torchvision.models, n), dict(weights=None, **o)) for n, o, _ in TORCHVISION]
    cases += [(f"timm/{n}", lambda n=n, **o: timm.create_model(n, pretrained=False, **o), o) for n, o, _ in TIMM]
    for name, make, options in cases:
        if not chosen(name):
            continue
        gc.collect()  # The last network, whose parts know each other.
        torch.manual_seed(1)
        size = side(name) if not name.startswith("torchvision/vgg") else 224
        model = make(**options)
        if "lite4" in name:  # 30 blocks with kinks on either side: else no image has a gradient in single precision.
            randomise_torch(model, 128, floor=3)
        else:
            smooth = any(type(m).__name__ in ("SiLU", "Hardswish", "GELU") for m in model.modules())
            # ReLU's kinks are met the less, the less images change: those keep wide statistics.
            randomise_torch(model, 128 if smooth else None)
        torch.save(model.state_dict(), folder / "w.pth")
        graft("convert", folder / "w.pth", "-o", folder / "m.safetensors", "--architecture", name)
        labels = torch.tensor([3, 7])

        def images(seed):
            return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed)).numpy()

        def gradients(x, double):
            network = copy.deepcopy(model).double() if double else model
            network.zero_grad()
            x = torch.from_numpy(x)
            loss = torch.nn.functional.cross_entropy(network(x.double() if double else x), labels)
            loss.backward()
            values = {n: p.grad.numpy() for n, p in network.named_parameters() if p.grad is not None}
            return values, float(loss.detach())

        compare(f"{name} 2x{size}x{size}", labels.numpy(), "nchw", images, gradients)


def keras_models():
    import keras
    import tensorflow as tf

    for name, build, options, _ in KERAS:
        if not chosen(name):
            continue
        gc.collect()  # The last network, whose parts know each other.
        keras.backend.clear_session()
        keras.utils.set_random_seed(2)
        # The networks over 224 pixels: what pools to one vector takes any size.
        size = 224 if name.startswith("vgg") else side(name)

        def build_model(size=size):
            return getattr(keras.applications, build)(
                weights=None, classifier_activation=None, input_shape=(size, size, 3), **options)

        scale = 127.5 if name.startswith(("efficientnet", "mobilenetv3", "convnext")) else 1
        model = build_model()
        if any(isinstance(layer, keras.layers.Multiply) for layer in model.layers):
            # Statistics fit on larger images: maps of one pixel have none. ReLU alone keeps wide ones, see above.
            keras_copy(randomise_keras(build_model(128), scale), model)
        else:
            randomise_keras(model)
        keras_legacy(model, folder / "w.h5")
        graft("convert", folder / "w.h5", "-o", folder / "m.safetensors", "--architecture", name)
        labels = np.array([3, 7])

        def images(seed):
            x = np.random.default_rng(seed).uniform(-1, 1, (2, size, size, 3)).astype("float32")
            return scale * (x + np.float32(scale > 1))

        def gradients(x, double):
            network = keras_double(build_model, model) if double else model
            with tf.GradientTape() as tape:
                logits = network(x.astype("float64") if double else x, training=False)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            variables = network.trainable_variables
            values = tape.gradient(loss, [v.value for v in variables])
            gradients = {}
            for layer_name, kind, variable in named(network):
                value = next(g for v, g in zip(variables, values) if v is variable).numpy()
                gradients[f"{layer_name}/{kind}"] = logical(value, kind)
            return gradients, float(loss)

        compare(f"{name} 2x{size}x{size}", labels, "nhwc", images, gradients)


def named(model):
    """graft's names of what learns: layer, variable."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from named(layer)
            continue
        for variable in layer.trainable_variables:
            kind = variable.path.split("/")[-1]
            depthwise = type(layer).__name__ == "DepthwiseConv2D" or getattr(layer, "groups", 1) > 1
            if kind.startswith("variable"):
                kind = "gamma"
            yield layer.name, "depthwise_kernel" if kind == "kernel" and depthwise else kind, variable


def logical(value, kind):
    if value.ndim == 4:
        # A depthwise kernel is (H, W, C, 1), or (H, W, 1, C) where a grouped convolution has it.
        return np.transpose(value, (2, 3, 0, 1) if kind == "depthwise_kernel" else (3, 2, 0, 1))
    return value.T if value.ndim == 2 else value


# What no argument names need not even be imported.
parts = [torch_models] * any(chosen(f"{p}/{row[0]}") for p, rows in (("torchvision", TORCHVISION), ("timm", TIMM)) for row in rows)
parts += [keras_models] * any(chosen(row[0]) for row in KERAS)
failures += not parts
for part in parts:
    try:
        part()
    except Exception as error:  # One broken peer must not hide what the others say.
        failures += 1
        print(f"FAIL {part.__name__}: {type(error).__name__}: {error}")
shutil.rmtree(folder)
print(f"gradients: {failures} failed")
sys.exit(1 if failures else 0)
