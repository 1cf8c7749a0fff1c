"""Gradients and loss curves against PyTorch and Keras, BatchNorm frozen on both sides.

The peers write weights and batches; `graft gradients` computes the loss and every gradient, or
takes 50 optimiser steps; the peers do the same. Gradients agree within 1e-3 of their largest
magnitude, curves within 1e-4 by step 10 and 1e-2 by step 50.
"""
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from _graft import graft
from _tiny import tiny_graph, tiny_torch, write_native, write_tiny_torch

STEPS, BATCH = 50, 8
failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-training-"))


def report(ok, text):
    global failures
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {text}", flush=True)


def gradients(model, x, y, layout, *extra):
    """Of one step by sums as they are defined (gradients.py says why), of many as training computes them."""
    if "--steps" not in extra:
        extra = ("--accuracy", "exact", *extra)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    graft("gradients", model, "--input", folder / "x.npy", "--labels", folder / "y.npy",
          "-o", folder / "g.safetensors", "--layout", layout, *extra)
    return load_file(folder / "g.safetensors")


def compare(name, ours, theirs, loss):
    """The worst difference of any tensor, as a share of that tensor's largest magnitude."""
    worst, where = 0.0, "none"
    missing = set(theirs) ^ (set(ours) - {"losses"})
    for key, value in theirs.items():
        if key not in ours or ours[key].shape != value.shape:
            missing.add(key)
            continue
        error = float(np.abs(ours[key] - value).max() / max(float(np.abs(value).max()), 1e-12))
        if error > worst or not np.isfinite(error):
            worst, where = error, key
    gap = abs(float(ours["losses"][0]) - loss) / max(abs(loss), 1e-12)
    report(worst <= 1e-3 and gap <= 1e-4 and not missing,
           f"gradients of {name}: {len(theirs)} tensors, worst {worst:.1e} at {where}, loss {gap:.1e}"
           + (f", missing {sorted(missing)[:3]}" if missing else ""))


def curve(name, ours, theirs):
    gaps = np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-12)
    early, late = float(gaps[:10].max()), float(gaps.max())
    report(early <= 1e-4 and late <= 1e-2 and np.isfinite(ours).all(),
           f"curve of {name}: {theirs[0]:.4f} -> {theirs[-1]:.4f}, gap {early:.1e} by step 10, {late:.1e} by step {STEPS}")


def clear_of_kinks(make, distance, tries=12):
    """The first input that keeps every argument of ReLU and ReLU6 away from 0 and 6.

    A value within rounding of a kink may fall on either side, and its gradient is then there or
    not: PyTorch's own 32 and 64 bits differ by percents on such inputs, which says nothing.
    """
    best, clearest = None, -1.0
    for seed in range(3, 3 + tries):
        x = make(seed)
        found = distance(x)
        if found > clearest:
            best, clearest = x, found
        if clearest > 5e-6:
            break
    return best


RULES = [("sgd", ["--optimizer", "sgd", "--momentum", "0.9"]), ("adam", ["--optimizer", "adam"])]
# The others, on the tiny network: our options; a rate and a decay that each peer is given too.
OTHERS = [
    ("nesterov", ["--optimizer", "sgd", "--momentum", "0.9", "--nesterov"], 0.01, 1e-3),
    ("adamw", ["--optimizer", "adamw"], 2e-3, 0.05), ("rmsprop", ["--optimizer", "rmsprop"], 3e-4, 0.0),
    ("rmsprop, momentum", ["--optimizer", "rmsprop", "--momentum", "0.5"], 5e-4, 1e-3),
    ("lamb", ["--optimizer", "lamb"], 2e-3, 0.01),
]


def batches(size, classes, channels_last):
    rng = np.random.default_rng(11)
    y = rng.integers(0, classes, STEPS * BATCH)
    # The class shows in the mean colour, so that there is something to learn.
    x = rng.normal(0, 1, (STEPS * BATCH, 3, size, size)) + (y % 3 == np.arange(3)[:, None]).T[:, :, None, None]
    x = x.astype("float32")
    return (x.transpose(0, 2, 3, 1).copy() if channels_last else x), y.astype("int64")


def torch_part():
    import torch
    import torch.nn.functional as F
    from _peers import torchvision as load

    torchvision = load()
    import timm.optim

    torch.set_num_threads(2)

    def randomise(model):
        generator = torch.Generator().manual_seed(7)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.data.uniform_(0.7, 1.3, generator=generator)
                module.bias.data.normal_(0, 0.1, generator=generator)
        return model.eval()  # BatchNorm and dropout in inference mode; autograd does not care.

    cases = [
        ("torchvision/resnet50", torchvision.models.resnet50, 96, 1),
        ("torchvision/mobilenet_v2", torchvision.models.mobilenet_v2, 65, 2),
        ("torchvision/vgg16", torchvision.models.vgg16, 224, 1),
        ("timm/tf_efficientnet_lite0", lambda weights: timm.create_model("tf_efficientnet_lite0", pretrained=False), 65, 1),
    ]
    for name, make, size, batch in cases:
        torch.manual_seed(1)
        model = randomise(make(weights=None))
        torch.save(model.state_dict(), folder / "w.pth")
        graft("convert", folder / "w.pth", "-o", folder / "m.safetensors", "--architecture", name)
        reached = []
        hooks = [m.register_forward_pre_hook(lambda _, inputs: reached.append(inputs[0]))
                 for m in model.modules() if isinstance(m, torch.nn.ReLU6)]

        def distance(x):
            reached.clear()
            with torch.no_grad():
                model(x)
            return min((min(float(v.abs().min()), float((v - 6).abs().min())) for v in reached), default=1.0)

        x = clear_of_kinks(lambda seed: torch.randn(
            batch, 3, size, size, generator=torch.Generator().manual_seed(seed)), distance)
        for hook in hooks:
            hook.remove()
        y = torch.arange(batch) * 100
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        theirs = {k: p.grad.numpy() for k, p in model.named_parameters()}
        compare(name, gradients(folder / "m.safetensors", x.numpy(), y.numpy(), "nchw", "--train-all"), theirs, loss.item())
    # Only the last stage learns: the same numbers, and nothing else.
    torch.manual_seed(1)
    model = randomise(torchvision.models.mobilenet_v2())
    torch.save(model.state_dict(), folder / "w.pth")
    graft("convert", folder / "w.pth", "-o", folder / "m.safetensors", "--architecture", "torchvision/mobilenet_v2")
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    y = torch.tensor([3, 7])
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    ours = gradients(folder / "m.safetensors", x.numpy(), y.numpy(), "nchw", "--unfreeze", "2")
    theirs = {k: p.grad.numpy() for k, p in model.named_parameters() if k in ours}
    compare(f"the last 2 stages of torchvision/mobilenet_v2", ours, theirs, loss.item())

    def write_mobilenet(model):
        torch.save(model.state_dict(), folder / "w.pth")
        graft("convert", folder / "w.pth", "-o", folder / "t.safetensors", "--architecture", "torchvision/mobilenet_v2")

    for name, make, write, size, classes, rates in [
        ("tiny, 32²", tiny_torch, lambda m: write_tiny_torch(m, folder / "t.safetensors"), 32, 5, {"sgd": 0.02, "adam": 2e-3}),
        ("torchvision/mobilenet_v2, 64²", torchvision.models.mobilenet_v2, write_mobilenet, 64, 10, {"sgd": 0.005, "adam": 1e-4}),
    ]:
        x, y = batches(size, classes, False)
        for rule, options in RULES:
            torch.manual_seed(5)
            model = randomise(make())
            write(model)
            kind = torch.optim.SGD(model.parameters(), lr=rates[rule], momentum=0.9) if rule == "sgd" \
                else torch.optim.Adam(model.parameters(), lr=rates[rule])
            theirs = []
            for step in range(STEPS):
                part = slice(step * BATCH, (step + 1) * BATCH)
                loss = F.cross_entropy(model(torch.from_numpy(x[part])), torch.from_numpy(y[part]))
                kind.zero_grad()
                loss.backward()
                kind.step()
                theirs.append(loss.item())
            ours = gradients(folder / "t.safetensors", x, y, "nchw", "--steps", STEPS, "--dialect", "torch",
                             "--learning-rate", rates[rule], *options)["losses"]
            curve(f"{name}, {rule}, PyTorch", ours, np.array(theirs))

    makers = {
        "nesterov": lambda p, r, d: torch.optim.SGD(p, lr=r, momentum=0.9, nesterov=True, weight_decay=d),
        "adamw": lambda p, r, d: torch.optim.AdamW(p, lr=r, weight_decay=d),
        "rmsprop": lambda p, r, d: torch.optim.RMSprop(p, lr=r, weight_decay=d),
        "rmsprop, momentum": lambda p, r, d: torch.optim.RMSprop(p, lr=r, momentum=0.5, weight_decay=d),
        "lamb": lambda p, r, d: timm.optim.Lamb(p, lr=r, weight_decay=d, max_grad_norm=None, grad_averaging=True),
    }
    x, y = batches(32, 5, False)
    for rule, options, rate, decay in OTHERS:
        torch.manual_seed(5)
        model = randomise(tiny_torch())
        write_tiny_torch(model, folder / "t.safetensors")
        kind = makers[rule](model.parameters(), rate, decay)
        theirs = []
        for step in range(STEPS):
            part = slice(step * BATCH, (step + 1) * BATCH)
            loss = F.cross_entropy(model(torch.from_numpy(x[part])), torch.from_numpy(y[part]))
            kind.zero_grad()
            loss.backward()
            kind.step()
            theirs.append(loss.item())
        ours = gradients(folder / "t.safetensors", x, y, "nchw", "--steps", STEPS, "--dialect", "torch",
                         "--learning-rate", rate, "--weight-decay", decay, *options)["losses"]
        curve(f"tiny, 32², {rule}, PyTorch", ours, np.array(theirs))
    # Weighted and smoothed cross entropy: the loss and its gradients.
    torch.manual_seed(5)
    model = randomise(tiny_torch())
    write_tiny_torch(model, folder / "t.safetensors")
    weights = np.array([0.5, 2, 1, 0.25, 1.5], "float32")
    np.save(folder / "weights.npy", weights)
    loss = F.cross_entropy(model(torch.from_numpy(x[:7])), torch.from_numpy(y[:7]), torch.from_numpy(weights), label_smoothing=0.1)
    loss.backward()
    compare("weighted, smoothed cross entropy",
            gradients(folder / "t.safetensors", x[:7], y[:7], "nchw", "--class-weights", folder / "weights.npy",
                      "--label-smoothing", 0.1),
            {k: p.grad.numpy() for k, p in model.named_parameters()}, loss.item())


def keras_part():
    import keras
    import tensorflow as tf

    def randomise(model):
        rng = np.random.default_rng(5)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                weights = layer.get_weights()
                n = weights[0].shape
                layer.set_weights([
                    rng.uniform(0.7, 1.3, n), rng.normal(0, 0.1, n), rng.normal(0, 0.1, n), rng.uniform(0.5, 1.5, n)])
        return model

    def logical(path, value):
        """Keras' axes as graft writes them: OIHW and (out, in)."""
        if value.ndim == 4:
            if path.endswith("depthwise_kernel"):  # HWCM -> (C·M)1HW
                h, w, c, m = value.shape
                return value.transpose(2, 3, 0, 1).reshape(c * m, 1, h, w)
            return value.transpose(3, 2, 0, 1)
        return value.T if value.ndim == 2 else value

    def tape(model, x, y):
        with tf.GradientTape() as record:
            scores = model(x, training=False)  # BatchNorm uses its running statistics.
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))
        return loss, record.gradient(loss, model.trainable_variables)

    apps = keras.applications
    for name, make, size, batch in [
        ("resnet50", apps.ResNet50, 96, 1), ("mobilenet", apps.MobileNet, 65, 1), ("mobilenetv2", apps.MobileNetV2, 65, 1),
    ]:
        keras.utils.set_random_seed(2)
        model = randomise(make(weights=None, classifier_activation=None))
        # The network takes other sizes than the one it was made for where it ends in a global mean.
        free = randomise(make(weights=None, classifier_activation=None, input_shape=(size, size, 3)))
        free.set_weights(model.get_weights())
        free.save_weights(folder / "w.weights.h5")
        graft("convert", folder / "w.weights.h5", "-o", folder / "m.safetensors", "--architecture", name)
        sources = [layer.input for layer in free.layers if isinstance(layer, keras.layers.ReLU)]
        probe = keras.Model(free.input, sources) if sources else None

        def distance(x):
            if probe is None:
                return 1.0
            return min(min(float(np.abs(v).min()), float(np.abs(v - 6).min())) for v in map(np.asarray, probe(x)))

        x = clear_of_kinks(lambda seed: np.random.default_rng(seed).normal(
            0, 1, (batch, size, size, 3)).astype("float32"), distance)
        y = np.arange(batch).astype("int64") * 100
        loss, found = tape(free, x, y)
        # Keras 3 calls a depthwise kernel `kernel` in paths, and `depthwise_kernel` in its older files.
        depthwise = {l.name for l in free.layers if isinstance(l, keras.layers.DepthwiseConv2D)}
        paths = [v.path.replace("/kernel", "/depthwise_kernel") if v.path.split("/")[0] in depthwise else v.path
                 for v in free.trainable_variables]
        theirs = {path: logical(path, g.numpy()) for path, g in zip(paths, found)}
        compare(f"keras {name}", gradients(folder / "m.safetensors", x, y, "nhwc"), theirs, float(loss))

    def tiny():
        x = inputs = keras.Input((32, 32, 3))
        for i, width in enumerate([8, 16, 32], 1):
            x = keras.layers.Conv2D(width, 3, 2 if i > 1 else 1, padding="same", use_bias=False, name=f"conv{i}")(x)
            x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"bn{i}")(x)
            x = keras.layers.ReLU(name=f"relu{i}")(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(inputs, keras.layers.Dense(5, name="fc")(x))

    def write_tiny(model):
        write_native(tiny_graph("keras"), {w.path: logical(w.path, w.numpy()) for w in model.weights}, 32, folder / "t.safetensors")

    def write_mobilenet(model):
        model.save_weights(folder / "w.weights.h5")
        graft("convert", folder / "w.weights.h5", "-o", folder / "t.safetensors", "--architecture", "mobilenetv2")

    for name, make, write, size, classes, rates in [
        ("tiny, 32²", tiny, write_tiny, 32, 5, {"sgd": 0.02, "adam": 2e-3}),
        ("keras mobilenetv2, 64²",
         lambda: apps.MobileNetV2(weights=None, classifier_activation=None, input_shape=(64, 64, 3)),
         write_mobilenet, 64, 10, {"sgd": 0.005, "adam": 1e-4}),
    ]:
        x, y = batches(size, classes, True)
        for rule, options in RULES:
            keras.utils.set_random_seed(4)
            model = randomise(make())
            write(model)
            kind = keras.optimizers.SGD(rates[rule], momentum=0.9) if rule == "sgd" else keras.optimizers.Adam(rates[rule])
            kind.build(model.trainable_variables)
            step_of = tf.function(lambda a, b: tape(model, a, b))
            theirs = []
            for step in range(STEPS):
                part = slice(step * BATCH, (step + 1) * BATCH)
                loss, found = step_of(tf.constant(x[part]), tf.constant(y[part]))
                kind.apply(found, model.trainable_variables)
                theirs.append(float(loss))
            ours = gradients(folder / "t.safetensors", x, y, "nhwc", "--steps", STEPS, "--dialect", "keras",
                             "--learning-rate", rates[rule], *options)["losses"]
            curve(f"{name}, {rule}, Keras", ours, np.array(theirs))

    O = keras.optimizers
    makers = {
        "nesterov": lambda r, d: O.SGD(r, momentum=0.9, nesterov=True, weight_decay=d),
        "adamw": lambda r, d: O.AdamW(r, weight_decay=d),
        "rmsprop": lambda r, d: O.RMSprop(r),
        "rmsprop, momentum": lambda r, d: O.RMSprop(r, momentum=0.5, weight_decay=d),
        "lamb": lambda r, d: O.Lamb(r, weight_decay=d),
    }
    x, y = batches(32, 5, True)
    for rule, options, rate, decay in OTHERS:
        keras.utils.set_random_seed(4)
        model = randomise(tiny())
        write_tiny(model)
        kind = makers[rule](rate, decay)
        kind.build(model.trainable_variables)
        step_of = tf.function(lambda a, b: tape(model, a, b))
        theirs = []
        for step in range(STEPS):
            part = slice(step * BATCH, (step + 1) * BATCH)
            loss, found = step_of(tf.constant(x[part]), tf.constant(y[part]))
            kind.apply(found, model.trainable_variables)
            theirs.append(float(loss))
        ours = gradients(folder / "t.safetensors", x, y, "nhwc", "--steps", STEPS, "--dialect", "keras",
                         "--learning-rate", rate, "--weight-decay", decay, *options)["losses"]
        curve(f"tiny, 32², {rule}, Keras", ours, np.array(theirs))


for part in (torch_part, keras_part):
    try:
        part()
    except Exception as error:  # One broken peer must not hide what the others say.
        failures += 1
        print(f"FAIL {part.__name__}: {type(error).__name__}: {error}")
sys.exit(1 if failures else 0)
