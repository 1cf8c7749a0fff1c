"""Losses, single optimiser steps and schedules against PyTorch, timm and Keras (case A of README.md).

Losses: the value and every gradient of a small network. Steps: the weights after one step of every rule in both
dialects, decay and momentum included. Schedules: the rates that a run writes to its log, a step an epoch."""
import csv
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from _graft import graft
from _peers import each_alone
from _tiny import tiny_graph, tiny_torch, write_native, write_tiny_torch

failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-losses-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")
RATES = {"sgd": 0.02, "adam": 2e-3, "adamw": 2e-3, "rmsprop": 3e-4, "lamb": 2e-3}
# Rule, our options, momentum, Nesterov, decay.
RULES = [("sgd", 0, False, 0.0), ("sgd", 0.9, False, 1e-2), ("sgd", 0.9, True, 1e-2), ("adam", 0, False, 0.0), ("adam", 0, False, 1e-2),
         ("adamw", 0, False, 0.05), ("rmsprop", 0, False, 1e-2), ("rmsprop", 0.5, False, 1e-2), ("lamb", 0, False, 0.01)]


def check(name, ours, theirs, tolerance):
    """The worst difference of any tensor, as a share of its largest magnitude."""
    global failures
    worst, where = 0.0, "none"
    for key, value in theirs.items():
        value = np.asarray(value)
        error = float("inf") if key not in ours or np.shape(ours[key]) != value.shape \
            else float(np.max(np.abs(ours[key] - value)) / max(float(np.max(np.abs(value))), 1e-6))
        if not error <= worst:
            worst, where = error, key
    failures += not worst <= tolerance
    print(f"{'ok  ' if worst <= tolerance else 'FAIL'} {name}: worst {worst:.1e} at {where}, at most {tolerance:.0e}", flush=True)


def run(x, y, layout, *settings):
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    told = "--labels" if y.ndim == 1 else "--targets"
    graft("gradients", folder / "t.safetensors", "--input", folder / "x.npy", told, folder / "y.npy", "-o", folder / "g.safetensors",
          "--layout", layout, *settings)
    return load_file(folder / "g.safetensors")


def data():
    rng = np.random.default_rng(11)
    y = rng.integers(0, 5, 8).astype("int64")
    held = (rng.random((8, 5)) < 0.4).astype("float32")
    numbers = rng.normal(0, 3, (8, 5)).astype("float32")
    return rng.normal(0, 1, (8, 3, 32, 32)).astype("float32"), y, held, numbers, rng.uniform(0.3, 3, 5).astype("float32")


def torch_part():
    import torch
    import torch.nn.functional as F
    from _peers import torchvision as load

    load()
    import timm.optim

    def fresh():
        torch.manual_seed(5)
        model = tiny_torch().eval()
        write_tiny_torch(model, folder / "t.safetensors")
        return model

    x, y, held, numbers, weights = data()
    np.save(folder / "w.npy", weights)
    tensor = torch.from_numpy
    losses = [
        ("cross entropy", y, [], lambda s: F.cross_entropy(s, tensor(y))),
        ("   smoothed", y, ["--label-smoothing", 0.1], lambda s: F.cross_entropy(s, tensor(y), label_smoothing=0.1)),
        ("   weighted by class", y, ["--class-weights", folder / "w.npy"], lambda s: F.cross_entropy(s, tensor(y), tensor(weights))),
        ("binary cross entropy", held, [], lambda s: F.binary_cross_entropy_with_logits(s, tensor(held))),
        ("   smoothed", held, ["--label-smoothing", 0.1], lambda s: F.binary_cross_entropy_with_logits(s, tensor(held) * 0.9 + 0.05)),
        ("   weighted by label", held, ["--class-weights", folder / "w.npy"], lambda s: F.binary_cross_entropy_with_logits(s, tensor(held), pos_weight=tensor(weights))),
        ("squared error", numbers, ["--regression"], lambda s: F.mse_loss(s, tensor(numbers))),
    ]
    for name, truth, settings, loss in losses:
        model = fresh()
        value = loss(model(tensor(x)))
        value.backward()
        check(f"{name}, PyTorch", run(x, truth, "nchw", *settings),
              {k: p.grad.numpy() for k, p in model.named_parameters()} | {"losses": np.array([value.item()])}, 1e-4)
    makers = {
        "sgd": lambda p, r, m, n, d: torch.optim.SGD(p, lr=r, momentum=m, nesterov=n, weight_decay=d),
        "adam": lambda p, r, m, n, d: torch.optim.Adam(p, lr=r, weight_decay=d), "adamw": lambda p, r, m, n, d: torch.optim.AdamW(p, lr=r, weight_decay=d),
        "rmsprop": lambda p, r, m, n, d: torch.optim.RMSprop(p, lr=r, momentum=m, weight_decay=d),
        "lamb": lambda p, r, m, n, d: timm.optim.Lamb(p, lr=r, weight_decay=d, max_grad_norm=None, grad_averaging=True),
    }
    for rule, momentum, nesterov, decay in RULES:
        model = fresh()
        kind = makers[rule](model.parameters(), RATES[rule], momentum, nesterov, decay)
        F.cross_entropy(model(tensor(x)), tensor(y)).backward()
        slopes = {k: p.grad.numpy().copy() for k, p in model.named_parameters()}
        kind.step()
        step(rule, momentum, nesterov, decay, "torch", x, y, slopes, {k: p.detach().numpy() for k, p in model.named_parameters()})
    schedules(torch)


def step(rule, momentum, nesterov, decay, dialect, x, y, slopes, theirs):
    """Where a gradient is nothing but rounding, Adam's first step is as long as anywhere and its direction is chance."""
    settings = ["--optimizer", rule, "--dialect", dialect, "--learning-rate", RATES[rule], "--momentum", momentum, "--weight-decay", decay, "--steps", 1]
    name = rule + (f", momentum {momentum}" if momentum else "") + (", Nesterov" if nesterov else "") + (f", decay {decay}" if decay else "")
    ours = run(x, y, "nchw" if dialect == "torch" else "nhwc", *settings, *(["--nesterov"] if nesterov else []))
    told = {k: (np.abs(g) > 1e-4 * np.abs(g).max()) | (g == 0) for k, g in slopes.items()}
    if sum(t.sum() for t in told.values()) < 0.95 * sum(t.size for t in told.values()):
        raise RuntimeError("most gradients are nothing but rounding")
    check(f"one step of {name}, {dialect}", {k: np.where(told[k], ours[k], theirs[k]) for k in theirs if k in ours}, theirs, 1e-5)


def rates(schedule, epochs, warmup=0, rate=0.1, *settings):
    """The rates and the validation losses of a run whose epochs are one step each."""
    if not (folder / "photos").exists():
        graft("draw", folder / "photos", "--classes", 2, "--count", 10, "--size", 32)
    graft("train", folder / "photos", "--backbone", "graft/tiny", "-o", folder / "run", "--overwrite", "--epochs", epochs, "--patience", 0, "--batch", 64,
          "--lr", rate, "--schedule", schedule, "--warmup", warmup, *settings)
    rows = list(csv.DictReader(open(folder / "run/log.csv")))
    return np.array([float(r["learning_rate"]) for r in rows]), [float(r["validation_loss"]) for r in rows]


def schedules(torch):
    def walk(make, steps):
        rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        schedule, seen = make(rule), []
        for _ in range(steps):
            seen.append(rule.param_groups[0]["lr"])
            rule.step()
            schedule.step()
        return np.array(seen)

    kinds = torch.optim.lr_scheduler
    for steps in (10, 37):
        check(f"one-cycle over {steps} steps, PyTorch", {"rate": rates("onecycle", steps)[0]}, {"rate": walk(lambda r: kinds.OneCycleLR(r, 0.1, total_steps=steps), steps)}, 1e-6)
    check("cosine without warm-up, PyTorch", {"rate": rates("cosine", 20)[0]}, {"rate": walk(lambda r: kinds.CosineAnnealingLR(r, 20), 20)}, 1e-6)
    check("steps, PyTorch", {"rate": rates("step", 30)[0]}, {"rate": walk(lambda r: kinds.MultiStepLR(r, [10, 20]), 30)}, 1e-6)
    check("constant", {"rate": rates("constant", 5)[0]}, {"rate": np.full(5, 0.1)}, 1e-6)


def keras_part():
    import keras
    import tensorflow as tf

    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    numbers = lambda items: {k: np.asarray(n).transpose(axes[np.ndim(n)]) for k, n in items}

    def fresh():
        keras.utils.set_random_seed(4)
        z = inputs = keras.Input((32, 32, 3))
        for i, width in enumerate([8, 16, 32], 1):
            z = keras.layers.Conv2D(width, 3, 2 if i > 1 else 1, padding="same", use_bias=False, name=f"conv{i}")(z)
            z = keras.layers.ReLU(name=f"relu{i}")(keras.layers.BatchNormalization(epsilon=1e-3, name=f"bn{i}")(z))
        model = keras.Model(inputs, keras.layers.Dense(5, name="fc")(keras.layers.GlobalAveragePooling2D(name="pool")(z)))
        write_native(tiny_graph("keras"), numbers((w.path, w.numpy()) for w in model.weights), 32, folder / "t.safetensors")
        return model

    x, y, held, targets, weights = data()
    x = x.transpose(0, 2, 3, 1).copy()
    L = keras.losses
    losses = [
        ("cross entropy", y, [], lambda s: L.SparseCategoricalCrossentropy(from_logits=True)(y, s)),
        ("   smoothed", y, ["--label-smoothing", 0.1], lambda s: L.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(np.eye(5)[y], s)),
        ("binary cross entropy", held, [], lambda s: L.BinaryCrossentropy(from_logits=True)(held, s)),
        ("   smoothed", held, ["--label-smoothing", 0.1], lambda s: L.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)(held, s)),
        ("squared error", targets, ["--regression"], lambda s: L.MeanSquaredError()(targets, s)),
    ]

    def tape(model, loss):
        with tf.GradientTape() as record:
            value = loss(model(x, training=False))
        return float(value), record.gradient(value, model.trainable_variables)

    for name, truth, settings, loss in losses:
        model = fresh()
        value, found = tape(model, loss)
        theirs = numbers((v.path, g.numpy()) for v, g in zip(model.trainable_variables, found))
        check(f"{name}, Keras", run(x, truth, "nhwc", *settings), theirs | {"losses": np.array([value])}, 1e-4)
    O = keras.optimizers
    makers = {
        "sgd": lambda r, m, n, d: O.SGD(r, momentum=float(m), nesterov=n, weight_decay=d or None), "adam": lambda r, m, n, d: O.Adam(r, weight_decay=d or None),
        "adamw": lambda r, m, n, d: O.AdamW(r, weight_decay=d), "rmsprop": lambda r, m, n, d: O.RMSprop(r, momentum=float(m), weight_decay=d or None),
        "lamb": lambda r, m, n, d: O.Lamb(r, weight_decay=d or None),
    }
    for rule, momentum, nesterov, decay in RULES:
        model = fresh()
        kind = makers[rule](RATES[rule], momentum, nesterov, decay)
        kind.build(model.trainable_variables)
        _, found = tape(model, losses[0][3])
        kind.apply(found, model.trainable_variables)
        step(rule, momentum, nesterov, decay, "keras", x, y, numbers((v.path, g.numpy()) for v, g in zip(model.trainable_variables, found)),
             numbers((v.path, v.numpy()) for v in model.trainable_variables))
    for warmup, steps in ((2, 10), (5, 23), (0, 8)):
        peer = O.schedules.CosineDecay(0.0 if warmup else 0.1, steps - warmup, warmup_target=0.1 if warmup else None, warmup_steps=warmup)
        check(f"cosine over {steps} steps, {warmup} of them warming up, Keras", {"rate": rates("cosine", steps, warmup)[0]},
              {"rate": np.array([float(peer(s)) for s in range(steps)])}, 1e-6)
    # A rate that does nothing leaves the loss where it is: it falls every third epoch.
    for rate in (1e-30, 3.0):
        seen, history = rates("plateau", 14, 0, rate)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(O.SGD(rate))
        peer = keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=3, min_delta=1e-4)
        peer.set_model(model)
        peer.on_train_begin()
        theirs = []
        for epoch, loss in enumerate(history):
            theirs.append(float(model.optimizer.learning_rate.numpy()))
            peer.on_epoch_end(epoch, {"val_loss": loss})
        check(f"plateau at a rate of {rate}, Keras", {"rate": seen / rate}, {"rate": np.array(theirs) / rate}, 1e-5)


alone = each_alone(__file__, torch=torch_part, keras=keras_part)
sys.exit(1 if failures + alone else 0)
