"""BatchNorm that learns (`--train-bn`) against PyTorch and Keras: outputs by the loss, gradients, the running
statistics after one step and after five, in both dialects.

The peers differ in what a running variance follows: PyTorch's the unbiased variance of the batch, Keras' its own."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from _peers import each_alone

GRAFT = os.environ["GRAFT"]
STEPS, BATCH = 5, 8
failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-batchnorm-"))


def graft(*arguments):
    result = subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {result.stderr.strip()}")


def apart(ours, theirs):
    """The worst difference of any tensor, as a share of its largest magnitude, or of a thousandth of that of all:
    what BatchNorm takes away again (a bias, a mean before it) is 0 but for rounding, and has no magnitude."""
    worst, where = 0.0, "none"
    floor = 1e-3 * max(float(np.abs(v).max()) for v in theirs.values())
    for key, value in theirs.items():
        error = float("inf") if key not in ours or ours[key].shape != value.shape \
            else float(np.abs(ours[key] - value).max() / max(float(np.abs(value).max()), floor))
        if not error <= worst:
            worst, where = error, key
    return worst, where


def check(name, ours, theirs, tolerance):
    global failures
    worst, where = apart(ours, theirs)
    failures += not worst <= tolerance
    print(f"{'ok  ' if worst <= tolerance else 'FAIL'} {name}: {len(theirs)} tensors, worst {worst:.1e} at {where}, at most {tolerance:.0e}", flush=True)


def run(x, y, layout, dialect, *extra):
    """What graft answers with sums as they are defined: a few millionths of noise after the first stage, put into the
    peer's double precision, move its own gradients by a tenth, for values at the kinks of ReLU then fall to the other
    side. That transforms give the gradients of the sums is tested where there are no kinks, in GradientTests."""
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    graft("gradients", folder / "m.safetensors", "--input", folder / "x.npy", "--labels", folder / "y.npy", "-o", folder / "g.safetensors",
          "--layout", layout, "--dialect", dialect, "--train-bn", "--accuracy", "exact", *extra)
    return load_file(folder / "g.safetensors")


def data(size, classes):
    rng = np.random.default_rng(11)
    y = rng.integers(0, classes, STEPS * BATCH).astype("int64")
    x = rng.normal(0, 1, (STEPS * BATCH, 3, size, size)) + (y % 3 == np.arange(3)[:, None]).T[:, :, None, None]
    return x.astype("float32"), y


def compare(name, once, steps, answers):
    """`answers` are the peer's in double precision: loss, statistics, gradients, and of some steps losses, statistics, weights.

    A deep network with ReLU6 stops after the statistics: a value within rounding of a kink falls to either side, and
    the peer's own single precision is then a tenth away from its double one, which says nothing."""
    whats = [(once, "loss", 1e-5), (once, "running statistics after one forward", 1e-4), (once, "gradients", 1e-3),
             (steps, f"losses of {STEPS} steps", 1e-3), (steps, "running statistics after them", 2e-3), (steps, "weights after them", 5e-3)]
    for (ours, what, tolerance), theirs in zip(whats, answers):
        check(f"{name}: {what}", ours, theirs, tolerance)


SGD = ["--optimizer", "sgd", "--momentum", 0.9, "--learning-rate", 0.001]


def torch_part():
    import torch
    import torch.nn.functional as F
    from _peers import torchvision as load

    torchvision = load()
    torch.set_num_threads(2)
    x, y = data(64, 10)
    for name, make in (("torchvision/resnet18", torchvision.models.resnet18), ("torchvision/mobilenet_v2", lambda: torchvision.models.mobilenet_v2(dropout=0))):
        torch.manual_seed(3)
        model = make()
        torch.save(model.state_dict(), folder / "w.pth")
        graft("convert", folder / "w.pth", "-o", folder / "m.safetensors", "--architecture", name)

        def peer(kind):
            """The answers of one forward and backward, then of some steps."""
            model.to(kind).load_state_dict({k: v.to(kind) if v.is_floating_point() else v for k, v in torch.load(folder / "w.pth").items()})
            model.train()
            model.zero_grad()
            numbers = lambda items: {k: v.detach().float().numpy().copy() for k, v in items}
            moved = lambda: numbers((k, v) for k, v in model.state_dict().items() if "running" in k)
            loss = F.cross_entropy(model(torch.from_numpy(x[:BATCH]).to(kind)), torch.from_numpy(y[:BATCH]))
            loss.backward()
            answers = [{"losses": np.array([loss.item()], "float32")}, moved(), numbers((k, p.grad) for k, p in model.named_parameters())]
            if "mobile" in name:
                return answers[:2]
            model.load_state_dict({k: v.to(kind) if v.is_floating_point() else v for k, v in torch.load(folder / "w.pth").items()})
            rule = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
            losses = []
            for step in range(STEPS):
                part = slice(step * BATCH, (step + 1) * BATCH)
                loss = F.cross_entropy(model(torch.from_numpy(x[part]).to(kind)), torch.from_numpy(y[part]))
                rule.zero_grad()
                loss.backward()
                rule.step()
                losses.append(loss.item())
            return answers + [{"losses": np.array(losses, "float32")}, moved(), numbers((k, p) for k, p in model.named_parameters() if p.ndim > 1)]

        compare(f"{name}, PyTorch", run(x[:BATCH], y[:BATCH], "nchw", "torch"), run(x, y, "nchw", "torch", "--steps", STEPS, *SGD), peer(torch.float64))


def keras_part():
    import keras
    import tensorflow as tf

    x, y = data(32, 5)
    x = x.transpose(0, 2, 3, 1).copy()

    def network():
        keras.utils.set_random_seed(2)
        z = inputs = keras.Input((32, 32, 3))
        for i, width in enumerate([8, 16, 32], 1):
            z = keras.layers.Conv2D(width, 3, 2 if i > 1 else 1, padding="same", use_bias=False, name=f"conv{i}")(z)
            # Momentum .9, so that the statistics have somewhere to go in a few steps; and one without a scale.
            z = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, scale=i != 2, name=f"bn{i}")(z)
            z = keras.layers.ReLU(name=f"relu{i}")(z)
        return keras.Model(inputs, keras.layers.Dense(5, name="fc")(keras.layers.GlobalAveragePooling2D(name="pool")(z)))

    single = network()
    single.save(folder / "m.keras")
    graft("convert", folder / "m.keras", "-o", folder / "m.safetensors")
    start = [w.numpy() for w in single.weights]
    keras.config.set_dtype_policy("float64")
    model = network()
    known = set(load_file(folder / "m.safetensors"))

    def name(v):
        return v.path if v.path in known else next(k for k in known if k.replace(".", "/").endswith(v.path))

    def numbers(items):
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
        return {name(v): np.asarray(n).transpose(axes[np.ndim(n)]).astype("float32") for v, n in items}

    moved = lambda: numbers((w, w.numpy()) for w in model.weights if "moving" in w.path)

    def restart():
        for w, value in zip(model.weights, start):
            w.assign(value.astype("float64"))

    def tape(part):
        with tf.GradientTape() as record:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y[part], model(x[part].astype("float64"), training=True)))
        return loss, record.gradient(loss, model.trainable_variables)

    restart()
    loss, found = tape(slice(0, BATCH))
    answers = [{"losses": np.array([float(loss)], "float32")}, moved(), numbers(zip(model.trainable_variables, found))]
    restart()
    rule = keras.optimizers.SGD(0.001, momentum=0.9)
    rule.build(model.trainable_variables)
    losses = []
    for step in range(STEPS):
        loss, found = tape(slice(step * BATCH, (step + 1) * BATCH))
        rule.apply(found, model.trainable_variables)
        losses.append(float(loss))
    answers += [{"losses": np.array(losses, "float32")}, moved(), numbers((v, v.numpy()) for v in model.trainable_variables)]
    compare("conv-BN-ReLU, Keras", run(x[:BATCH], y[:BATCH], "nhwc", "keras"), run(x, y, "nhwc", "keras", "--steps", STEPS, *SGD), answers)
    # The last layer sees few numbers, so that the two dialects lie clearly apart: each is told from the other.
    other, _ = apart(run(x[:BATCH], y[:BATCH], "nhwc", "torch"), answers[1])
    check("   PyTorch's dialect is another", {"told apart": np.array([1.0 if other > 1e-5 else 0.0])}, {"told apart": np.array([1.0])}, 0)


alone = each_alone(__file__, torch=torch_part, keras=keras_part)
sys.exit(1 if failures + alone else 0)
