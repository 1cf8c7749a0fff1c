"""Each row of the table of networks from end to end, as its user meets it.

The peer writes a file of weights, a server on this machine stands in for its publisher, and a registry names
it: fetch (and again without a network), summary, convert, run, features of a photo, a new head,
fine-tuning, export. What is computed is compared with the peer that wrote the file; what is exported
is loaded by the peer and by onnxruntime. The sides are small: logits.py has the usual sizes. One network
of each family of the seed table, or with CONFORMANCE=all every one; names as arguments choose.
"""
import functools
import gc
import hashlib
import http.server
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from _graft import graft
from _networks import KERAS, ROWS, TIMM, TORCHVISION
from _weights import keras_double, keras_legacy, randomise_keras, randomise_torch

ALL = os.environ.get("CONFORMANCE") == "all"
TOLERANCE = 1e-4
KINKS = 2e-3  # At most, where a millionth of the images moves the peer's own answer by as much.
folder = Path(tempfile.mkdtemp(prefix="graft-rows-"))
published, registry, photos = folder / "published", folder / "registry", folder / "photos"
os.environ |= {"GRAFT_CACHE": str(folder / "cache"), "NO_PROXY": "*", "no_proxy": "*"}
failures = passed = 0


def serve():
    """Files as a publisher's web server has them."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=published))
    server.handle_error = lambda *_: None  # Connections that graft gives up when it has what it needs.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def publish(name, file, side, kind):
    """A registry of this one model: what the real registry says of it, but for address, digest and size."""
    entry = dict(REAL[name])
    if entry["input"].get("shorterSide"):
        entry["input"] = entry["input"] | {"shorterSide": side + 16}
    entry["input"] = entry["input"] | {"height": side, "width": side}
    data = (published / file).read_bytes()
    entry |= {"url": f"http://127.0.0.1:{server.server_port}/{file}", "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
              "byteCount": len(data), "format": kind, "name": name, "isDefault": True}
    (registry / "rows.json").write_text(json.dumps([entry]))
    return entry


def close(ours, theirs, limit, exact=None):
    """exact(): the peer's answer in double precision, the judge where two right answers differ."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{ours.shape}, expected {theirs.shape}"
    assert np.isfinite(theirs).all(), "the peer's answer is not finite"
    scale = float(np.abs(theirs).max())
    error = float(np.abs(ours - theirs).max() / scale)
    if error > limit and exact:
        truth = np.asarray(exact())
        error, peer = (float(np.abs(side - truth).max() / scale) for side in (ours, theirs))
        assert error <= limit, f"{error:.1e} from double precision, the peer's own {peer:.1e}"
    assert error <= limit, f"{error:.1e} of the largest magnitude"
    return error


def scores(path):
    """An ONNX file without the softmax at its end, behind which large scores hide or magnify differences."""
    import onnx

    model = onnx.load(path)
    makers = {name: node for node in model.graph.node for name in node.output}
    output = model.graph.output[0]
    last = makers[output.name]
    while last.op_type == "Identity":
        last = makers[last.input[0]]
    if last.op_type == "Softmax":
        del model.graph.output[:]
        model.graph.output.append(onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, None))
    return model.SerializeToString()


def run(model, x, until=None, layout="nchw"):
    np.save(folder / "x.npy", x)
    graft("run", model, "--input", folder / "x.npy", "--output", folder / "y.npy", "--layout", layout,
          *(["--until", until] if until else []))
    return np.load(folder / "y.npy")


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Row:
    """One network: `peer` gives its (features, logits) of images in NCHW, in single or double precision."""

    def __init__(self, name, file, side, kind, peer, total, load, scale=1):
        self.name, self.file, self.side, self.peer, self.total, self.load = name, file, side, peer, total, load
        self.scale = scale  # Half the range of its pixels.
        self.entry = publish(name, file, side, kind)
        self.worst = 0.0
        self.draw(self.entry["input"].get("shorterSide") or side)

    def draw(self, side):
        """Photos of noise, which need no resizing: what the statistics were fitted to. A photo of something has
        flat parts, which random weights take so far outside of them that float32 says nothing (of EfficientNetB6
        the peer's own was 0.9 from double precision); preprocessing.py has those."""
        rng = np.random.default_rng(3)
        shutil.rmtree(photos, ignore_errors=True)
        for number in range(12):
            path = photos / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.name.startswith(("torchvision/", "timm/")):  # The normal distribution's moments, once prepared.
                if self.entry["input"]["normalization"] == "half":
                    pixels = 255 * rng.integers(0, 2, (side, side, 3))
                else:
                    pixels = 255 * rng.normal((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (side, side, 3))
            else:
                pixels = rng.integers(0, 256, (side, side, 3))
            Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype("u1")).save(path)

    def compare(self, what, ours, theirs, exact=None):
        try:
            self.worst = max(self.worst, close(ours, theirs, max(TOLERANCE, min(self.moved, KINKS)), exact))
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None

    def images(self, seed):
        def drawn(rng):
            x = rng.normal(0, 1 if self.scale == 1 else 0.4, (2, 3, self.side, self.side))
            return (self.scale * (x + (self.scale > 1))).astype("f4")

        return self.steady((number, drawn(np.random.default_rng((seed, number)))) for number in range(8))[1]

    def steady(self, candidates):
        """Of pairs of a name and images, the one of whose images the peer's answers move least when the last bits
        change, or the first that is good enough. Random networks magnify the rounding of some images a thousandfold
        (ShuffleNet's of one in four), whoever computes: if no images are good enough, an answer may be as far off as
        that of images a millionth away."""
        self.moved = np.inf
        for name, x in candidates:
            noise = np.random.default_rng(4).choice((-1e-6, 1e-6), x.shape).astype("f4") * np.abs(x).max()
            moved = max(np.abs(answer[: len(x)] - answer[len(x):]).max() / np.abs(answer[: len(x)]).max()
                        for answer in self.peer(np.concatenate([x, x + noise])))
            if moved < self.moved:
                self.moved, steadiest = float(moved), (name, x)
            if moved < TOLERANCE / 2:
                break
        return steadiest

    def fetch(self):
        path = graft("fetch", self.name, "--quiet").strip()
        assert f"sha256:{digest(path)}" == self.entry["digest"]
        (published / self.file).unlink()
        assert graft("fetch", self.name, "--offline", "--quiet").strip() == path

    def summary(self):
        summary = json.loads(graft("summary", self.name, "--json", "--size", self.side))
        assert summary["total"] == self.total, f"{summary['total']:,} parameters, expected {self.total:,}"

    def convert(self):
        self.model = folder / "m.safetensors"
        graft("convert", self.name, "-o", self.model)

    def run(self):
        x = self.images(1)
        features, logits = self.peer(x)
        for answer in (features, logits):
            change = np.abs(answer[0] - answer[1]).max() / np.abs(answer).max()
            assert change > 0.01, f"proves nothing: another image changes the peer's answer by {change:.1e}"
        self.compare("logits", run(self.model, x, "logits"), logits, lambda: self.peer(x, True)[1])
        self.compare("features", run(self.model, x, "features"), features, lambda: self.peer(x, True)[0])

    def features(self):
        """Through the registry's name, and prepared without being told how."""
        given = self.entry["input"]

        def prepared():
            for photo in sorted(photos.rglob("*.png")):
                graft("preprocess", photo, "--normalize", {"none": "pass-through"}.get(given["normalization"], given["normalization"]),
                      "--size", self.side, "--kernel", given["interpolation"], "-o", folder / "p.npy",
                      *(["--shorter-side", given["shorterSide"]] if given.get("shorterSide") else []))
                yield photo, np.load(folder / "p.npy")

        photo, x = self.steady(prepared())
        graft("features", self.name, photo, "-o", folder / "f.npy")
        self.compare("a photo", np.load(folder / "f.npy"), self.peer(x)[0], lambda: self.peer(x, True)[0])

    def head(self):
        graft("train", photos, "--backbone", self.name, "-o", folder / "head", "--epochs", 2, "--batch", 4, "--json")

    def finetune(self):
        answer = json.loads(graft("train", photos, "--backbone", folder / "head/model.safetensors", "-o", folder / "tuned",
                                  "--mode", "finetune", "--unfreeze", 2, "--epochs", 1, "--batch", 8,
                                  "--learning-rate", 1e-5, "--json"))
        assert answer["metrics"]["loss"] is not None and np.isfinite(answer["metrics"]["loss"]), answer["metrics"]
        self.tuned = folder / "tuned/model.safetensors"
        from safetensors.numpy import load_file

        before, after = load_file(folder / "head/model.safetensors"), load_file(self.tuned)
        assert set(before) == set(after) and all(np.isfinite(t).all() for t in after.values())
        changed = [n for n in after if not np.array_equal(before[n], after[n])]
        # The head has two tensors; the rest is of the backbone.
        assert len(changed) > 2, f"only {changed} learnt"

    def exports(self):
        import keras
        import onnxruntime

        x = self.images(2)
        ours = run(self.tuned, x, "logits")
        graft("convert", self.tuned, "--to", "onnx", "-o", folder / "m.onnx")
        session = onnxruntime.InferenceSession(scores(folder / "m.onnx"), providers=["CPUExecutionProvider"])
        graft("convert", self.tuned, "--to", "keras", "-o", folder / "m.keras")
        keras.backend.clear_session()
        model = keras.models.load_model(folder / "m.keras")

        def answer(model):
            ends = isinstance(model.layers[-1], keras.layers.Softmax)
            until = keras.Model(model.input, model.layers[-1].input if ends else model.output)
            return until(x.transpose(0, 2, 3, 1).astype(model.layers[-1].compute_dtype), training=False)

        def double():
            config = json.dumps(keras.saving.serialize_keras_object(model)).replace('"float32"', '"float64"')
            keras.backend.clear_session()
            network = keras.saving.deserialize_keras_object(json.loads(config))
            network.set_weights(model.get_weights())
            assert all(w.dtype == "float64" for w in network.trainable_weights), "not in double precision"
            return answer(network)

        self.compare("onnxruntime", session.run(None, {session.get_inputs()[0].name: x})[0], ours, double)
        self.compare("Keras", ours, np.asarray(answer(model)), double)
        self.load(self, x)

    def all(self):
        global failures, passed
        for step in (self.fetch, self.summary, self.convert, self.run, self.features, self.head, self.finetune, self.exports):
            try:
                step()
            except Exception as error:
                failures += 1
                print(f"FAIL {self.name}: {step.__name__}: {type(error).__name__}: {str(error)[-600:]}", flush=True)
                break
        else:
            passed += 1
            print(f"ok   {self.name}: fetch, summary, convert, run, features, head, fine-tune, exports; worst {self.worst:.1e}", flush=True)
        for path in folder.iterdir():
            if path not in (published, registry, photos):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def chosen(name):
    return name in sys.argv[1:] if len(sys.argv) > 1 else ALL or name in ROWS


def default(name):
    """The registry's entry that the bare name means, with its classifier."""
    return next((e for e in ENTRIES if e["architecture"] == name and e["top"] and e.get("input")
                 and e.get("classes") in (None, 1000)), None)


def keras_rows():
    import keras

    for name, build, options, _ in KERAS:
        if not chosen(name):
            continue
        gc.collect()  # The last network, whose parts know each other.
        side = 224 if name.startswith("vgg") else 107 if "inception" in name else 96
        scale = 127.5 if name.startswith(("efficientnet", "mobilenetv3", "convnext")) else 1

        def whole(weights=None):
            return getattr(keras.applications, build)(
                weights=weights, classifier_activation=None, input_shape=(side, side, 3), **options)

        keras.utils.set_random_seed(2)
        keras.backend.clear_session()
        model = randomise_keras(whole(), scale, floor=1 if name == "efficientnetv2l" else 0)  # 79 blocks.
        keras_legacy(model, published / "w.h5")

        def peer(x, double=False):
            network = keras_double(whole, model) if double else model
            last = [layer for layer in network.layers if layer.weights][-1].input
            both = keras.Model(network.input, [last, network.output])
            features, logits = both(x.transpose(0, 2, 3, 1).astype("f8" if double else "f4"), training=False)
            return np.asarray(features).reshape(len(x), -1), np.asarray(logits)

        def load(row, x):
            before = peer(x)[1]
            graft("convert", row.model, "--to", "keras-h5", "-o", folder / "again.h5")
            keras.backend.clear_session()  # Numbered layers get the same names again.
            again = whole(str(folder / "again.h5"))
            for one, other in zip(model.weights, again.weights):
                assert np.array_equal(one, other), f"{one.path} is not {other.path}"
            row.compare("keras.applications", again(x.transpose(0, 2, 3, 1), training=False), before)

        Row(name, "w.h5", side, "keras-h5", peer, model.count_params(), load, scale).all()


def torch_rows():
    import torch
    from _peers import torchvision as get

    torchvision = get()
    import timm
    from safetensors.torch import save_file

    cases = [(f"torchvision/{n}", getattr(torchvision.models, n), dict(weights=None, **o)) for n, o, _ in TORCHVISION]
    cases += [(f"timm/{n}", functools.partial(timm.create_model, n, pretrained=False), o) for n, o, _ in TIMM]
    for name, make, options in cases:
        if not chosen(name):
            continue
        gc.collect()  # The last network, whose parts know each other.
        if name not in REAL:
            print(f"     {name}: nobody publishes it; left out", flush=True)
            continue
        side = 231 if name.startswith("timm/vgg") else 224 if "vgg" in name else 107 if "inception" in name else 96
        torch.manual_seed(1)
        model = randomise_torch(make(**options), max(side, 128))
        kind = "torch" if name.startswith("torchvision/") else "safetensors"
        if kind == "torch":
            torch.save(model.state_dict(), published / "w.pth")
        else:
            save_file(model.state_dict(), published / "w.safetensors")
        seen = {}
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
        if linear:
            linear[-1].register_forward_pre_hook(lambda _, inputs: seen.update(features=inputs[0]))
        else:
            model.features.register_forward_hook(lambda _, __, y: seen.update(features=y.mean((2, 3))))

        def peer(x, double=False):
            network = model.double() if double else model
            with torch.no_grad():
                logits = network(torch.from_numpy(x.astype("f8" if double else "f4"))).numpy()
            model.float()
            return seen["features"].numpy(), logits

        def load(row, x):
            before = peer(x)[1]
            graft("convert", row.model, "--to", "torch", "-o", folder / "again.pth")
            state = torch.load(folder / "again.pth", weights_only=True)
            for parameter in model.parameters():
                torch.nn.init.zeros_(parameter)
            missing, unexpected = model.load_state_dict(state, strict=False)
            missing = [n for n in missing if not n.endswith("num_batches_tracked") and not n.startswith(AUXILIARY)]
            assert not missing and not unexpected, (missing[:3], unexpected[:3])
            row.compare("the publisher's code", peer(x)[1], before)

        total = sum(t.numel() for n, t in model.state_dict().items()
                    if not n.endswith("num_batches_tracked") and not n.startswith(AUXILIARY))
        Row(name, f"w.{'pth' if kind == 'torch' else kind}", side, kind, peer, total, load).all()


# Classifiers that only training uses.
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
os.environ.pop("GRAFT_REGISTRY", None)
ENTRIES = [e for e in json.loads(graft("models", "--json"))["models"] if e.get("architecture")]
REAL = {name: entry for name in {e["architecture"] for e in ENTRIES} if (entry := default(name))}
os.environ["GRAFT_REGISTRY"] = str(registry)
registry.mkdir()
published.mkdir()
shutil.copy(Path(__file__).parents[2] / "Registry/Models/labels-imagenet.json", registry)
server = serve()
# What no argument names need not even be imported.
parts = [keras_rows] * any(chosen(row[0]) for row in KERAS)
parts += [torch_rows] * any(chosen(f"{p}/{row[0]}") for p, rows in (("torchvision", TORCHVISION), ("timm", TIMM)) for row in rows)
for part in parts:
    try:
        part()
    except Exception as error:  # One broken peer must not hide what the others say.
        failures += 1
        print(f"FAIL {part.__name__}: {type(error).__name__}: {error}", flush=True)
server.shutdown()
shutil.rmtree(folder)
print(f"rows: {passed} passed, {failures} failed")
sys.exit(1 if failures or not passed else 0)
