#!/usr/bin/env python3
"""Makes the golden native models of one version of graft: generate_models.py GRAFT FOLDER.

What stands in models/<version> was written by the program of that version and is never written again: a change of a
format adds a folder. Each model, checkpoint and feature record there opens in every later graft and answers as recorded
in answers.json, which this script takes from the program that wrote the files. Needs numpy, onnx, keras and torchvision.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

graft, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
images = Path(__file__).parent / "images"
random = np.random.default_rng(7)


class Network:
    """A small ONNX file, written node by node."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype=kind), name))
        return name

    def normal(self, *shape, scale=0.5, name):
        self.weights.append(numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name))
        return name

    def add(self, kind, inputs, name=None, outputs=1, **attributes):
        self.count += 1
        name = name or f"{kind.lower()}{self.count}"
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, **attributes))
        return name if outputs == 1 else names

    def conv(self, x, inputs, outputs, name, kernel=3, stride=1, **more):
        weight = self.normal(outputs, inputs // more.get("group", 1), kernel, kernel, scale=(2 / (inputs * kernel**2)) ** 0.5, name=f"{name}.weight")
        bias = self.normal(outputs, scale=0.1, name=f"{name}.bias")
        return self.add("Conv", [x, weight, bias], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, **more)

    def save(self, path, output, size=32):
        graph = helper.make_graph(
            self.nodes, path.stem, [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size, size])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


def backbone(path):
    net = Network()
    x = "image"
    for name, inputs, outputs in (("stem", 3, 6), ("block1", 6, 8), ("block2", 8, 12)):
        x = net.add("Relu", [net.conv(x, inputs, outputs, name, stride=2)], f"{name}_relu")
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x], "pool")], "flat")
    net.add("Gemm", [x, net.normal(5, 12, name="fc.weight"), net.normal(5, name="fc.bias")], "fc", transB=1)
    net.save(path, "fc")


def operations(path):
    """As many operations as one network can have; values stay near one."""
    net = Network()
    x = net.add("Sub", [net.add("Mul", ["image", net.constant(np.reshape([2.0, 2.5, 1.5], (1, 3, 1, 1)))]), net.constant([0.5])])
    x = net.conv(x, 3, 8, "stem", stride=2)
    x = net.add("BatchNormalization", [x] + [net.normal(8, name=f"bn.{r}", scale=s) for r, s in (("gamma", 1), ("beta", 0.3), ("mean", 0.3))]
        + [net.constant(np.linspace(0.5, 2, 8))], "bn", epsilon=1e-3)
    parts = []
    for kind, more in (("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("HardSwish", {}), ("Softplus", {}), ("Mish", {}), ("Gelu", {}),
            ("Gelu", {"approximate": "tanh"}), ("Elu", {}), ("LeakyRelu", {"alpha": 0.01}), ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5})):
        parts.append(net.add(kind, [x], **more))
    parts.append(net.add("Clip", [x, net.constant(0.0), net.constant(6.0)]))
    parts.append(net.add("Mul", [x, net.add("Sigmoid", [x])]))
    parts.append(net.add("Exp", [net.add("Mul", [x, net.constant([0.1])])]))
    x = net.add("Concat", parts, axis=1)
    x = net.conv(x, 8 * 14, 12, "squeeze", kernel=1)
    x = net.add("Add", [x, net.conv(x, 12, 12, "depthwise", group=12)])
    gate = net.add("Sigmoid", [net.conv(net.add("GlobalAveragePool", [x]), 12, 12, "gate", kernel=1)])
    x = net.add("Mul", [x, gate])
    x = net.add("Reshape", [x, net.constant([0, 3, 4, 16, 16], np.int64)])
    x = net.add("Transpose", [x], perm=[0, 2, 1, 3, 4])
    x = net.add("Reshape", [x, net.constant([0, 12, 16, 16], np.int64)])
    first, second = net.add("Split", [x, net.constant([5, 7], np.int64)], outputs=2, axis=1)
    x = net.add("Concat", [second, first], axis=1)
    x = net.add("Transpose", [net.add("LayerNormalization", [net.add("Transpose", [x], perm=[0, 2, 3, 1]),
        net.normal(12, name="ln.weight", scale=1), net.normal(12, name="ln.bias")], "ln", axis=-1, epsilon=1e-6)], perm=[0, 3, 1, 2])
    x = net.add("Pad", [x, net.constant([0, 0, 1, 0, 0, 0, 1, 2], np.int64), net.constant(0.5)])
    x = net.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.add("AveragePool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1)
    x = net.add("AveragePool", [x], kernel_shape=[2, 2], strides=[1, 1])
    x = net.add("ConvTranspose", [x, net.normal(12, 6, 3, 3, name="up.weight", scale=0.2), net.normal(6, name="up.bias")], "up",
        kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    for mode, coordinates in (("nearest", "asymmetric"), ("linear", "half_pixel")):
        x = net.add("Resize", [x, "", net.constant([1, 1, 2, 2])], mode=mode, coordinate_transformation_mode=coordinates, nearest_mode="floor")
    both = net.add("Concat", [net.add("GlobalMaxPool", [x]), net.add("GlobalAveragePool", [x])], axis=1)
    x = net.add("Flatten", [both])
    x = net.add("LpNormalization", [x], axis=1, p=2)
    x = net.add("Gemm", [net.add("Dropout", [x]), net.normal(4, 12, name="fc.weight", scale=2), net.normal(4, name="fc.bias")], "fc", transB=1)
    net.add("Softmax", [x], "softmax", axis=1)
    net.save(path, "softmax")


def keras_model(path):
    """What only Keras' files bring: channels-last flattening and reshaping, `same` padding, stochastic depth of blocks."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 127.5, -1)(x)
    x = layers.Conv2D(6, 3, 2, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Cropping2D(1)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(18, "swish", name="hidden")(x)
    x = layers.Reshape((3, 3, 2))(x)
    x = layers.GlobalAveragePooling2D()(x)
    keras.Model(inputs, layers.Dense(3, "softmax", name="predictions")(x)).save(path)


def header(file):
    """The bytes of a safetensors file before its tensors, and the number of single-precision values that follow."""
    length = 8 + int.from_bytes(file[:8], "little")
    return file[:length], (len(file) - length) // 4


def formula(count):
    """Weights without a generator of random numbers: GoldenModelTests.swift computes the same."""
    return (((np.arange(count, dtype=np.int64) * 7919) % 1000 - 500).astype(np.float32) / np.float32(20000) + np.float32(0.03)).tobytes()


def large(name, work):
    """The graph of a network whose weights are too large to keep, and the number of its weights."""
    import safetensors.torch

    sys.path.insert(0, str(Path(__file__).parent.parent / "Conformance"))
    import _peers

    state = _peers.torchvision().models.get_model(name).state_dict()
    safetensors.torch.save_file(state, work / "large.safetensors")
    call("convert", "large.safetensors", "--architecture", f"torchvision/{name}", "-o", "native.safetensors", cwd=work)
    head, count = header((work / "native.safetensors").read_bytes())
    return json.loads(head[8:])["__metadata__"]["graft.graph"], count


def call(*arguments, cwd, check=True):
    environment = dict(os.environ, GRAFT_CACHE=str(Path(cwd) / "cache"), OMP_WAIT_POLICY="passive")
    done = subprocess.run(["graft", *map(str, arguments)], executable=str(graft), cwd=cwd, env=environment, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise SystemExit(f"graft {' '.join(map(str, arguments))}: {done.stderr}")
    return done


def main():
    if out.exists():
        raise SystemExit(f"{out} is there already: golden files are never written again")
    work = Path(tempfile.mkdtemp(prefix="graft-golden-"))
    backbone(work / "backbone.onnx")
    operations(work / "operations.onnx")
    keras_model(work / "channels_last.keras")
    for name in ("backbone.onnx", "operations.onnx", "channels_last.keras"):
        call("convert", name, "-o", f"{Path(name).stem}.safetensors", cwd=work)
    call("draw", "drawn", "--classes", 3, "--count", 8, "--size", 40, cwd=work)
    drawn = sorted((work / "drawn").rglob("*.png"))
    names = [str(p.relative_to(work / "drawn")) for p in drawn]
    labels = [p.parent.name for p in drawn]
    (work / "drawn" / "labels.csv").write_text(
        "path,labels\n" + "".join(f"{n},{l}|{'small' if i % 2 else 'large'}\n" for i, (n, l) in enumerate(zip(names, labels))))
    (work / "drawn" / "values.csv").write_text("path,weight,height\n" + "".join(f"{n},{i * 0.5},{i % 5}\n" for i, n in enumerate(names)))
    shutil.copytree(work / "drawn", work / "boxes", ignore=shutil.ignore_patterns("*.csv"))
    kinds = sorted(set(labels))
    (work / "boxes" / "annotations.json").write_text(json.dumps({
        "images": [{"id": i, "file_name": n, "width": 40, "height": 40} for i, n in enumerate(names)],
        "categories": [{"id": i + 1, "name": k} for i, k in enumerate(kinds)],
        "annotations": [{"id": i + 1, "image_id": i, "category_id": kinds.index(l) + 1, "bbox": [8, 8, 24, 22], "area": 528, "iscrowd": 0}
            for i, l in enumerate(labels)]}))

    common = ["--backbone", "backbone.safetensors", "--epochs", 2, "--lr", 0.05, "--optimizer", "adam"]
    runs = {
        "classification": ["drawn"], "calibrated": ["drawn", "--calibrate"],
        "logistic": ["drawn", "--head", "logistic"], "mlp": ["drawn", "--head", "mlp", "--dropout", 0.2], "knn": ["drawn", "--head", "knn"],
        "multilabel": ["drawn/labels.csv", "--task", "multi-label"], "regression": ["drawn/values.csv", "--task", "regression", "--columns", "weight,height"],
        "embedding": ["drawn", "--task", "embedding"], "detection": ["boxes/annotations.json", "--task", "detection"],
    }
    for name, arguments in runs.items():
        more = common if name not in ("logistic", "knn") else common[:2]
        call("train", *arguments, *more, "-o", f"runs/{name}", cwd=work)
    call("quantize", "runs/classification/model.safetensors", "drawn", "-o", "int8.safetensors", cwd=work)
    # A run that was stopped after an epoch, in a mode whose optimiser has state: what it resumes to is recorded.
    unfinished = ["train", "drawn", "--backbone", "backbone.safetensors", "--mode", "finetune", "--unfreeze", "all", "--optimizer", "adamw",
        "--lr", 0.01, "--seed", 5, "-o"]
    call(*unfinished, "runs/whole", "--epochs", 4, cwd=work)
    call(*unfinished, "runs/unfinished", "--epochs", 2, cwd=work)

    out.mkdir(parents=True)
    for name in ("backbone", "operations", "channels_last", "int8"):
        shutil.copy(work / f"{name}.safetensors", out)
    for name in runs:
        shutil.copy(work / f"runs/{name}/model.safetensors", out / f"{name}.safetensors")
    (out / "unfinished").mkdir()
    for name in ("checkpoint.safetensors", "run.json", "split.json", "log.csv", "metrics.json"):
        shutil.copy(work / "runs/unfinished" / name, out / "unfinished" / name)
    features = next((work / "cache/features").glob("*/values"))
    (out / "features" / features.parent.name).mkdir(parents=True)
    shutil.copy(features, out / "features" / features.parent.name / "values")

    # A detector's head is large whatever its backbone: its weights are a formula, and only what stands before them is kept.
    detector = out / "detection.safetensors"
    head, count = header(detector.read_bytes())
    detector.write_bytes(head + formula(count))
    (out / "detection.head").write_bytes(head)

    answers = {"version": call("--version", cwd=work).stdout.strip(), "models": {}, "graphs": {}}
    for name in ("convnext_tiny", "vgg11"):
        graph, answers["graphs"][name] = large(name, work)
        (out / f"{name}.graph.json").write_text(graph + "\n")
    pictures = ["plain.png", "turned.jpg"]
    for path in sorted(out.glob("*.safetensors")):
        size = 16 if path.stem == "channels_last" else 32
        x = (np.arange(2 * 3 * size * size) * 7919 % 1000).astype(np.float32) / np.float32(1000)
        np.save(work / "x.npy", x.reshape(2, 3, size, size))
        # Version 0.1 cannot open what it wrote of this network: its answer is that of the Keras file.
        asked = work / "channels_last.keras" if path.stem == "channels_last" else path
        call("run", asked, "--input", "x.npy", "--output", "y.npy", "--accuracy", "exact", cwd=work)
        y = np.load(work / "y.npy")
        answer = {"shape": list(y.shape), "values": [round(float(v), 6) for v in y.reshape(-1)[:64]]}
        if path.stem not in ("embedding", "detection", "operations"):
            done = call("predict", asked, *(images / p for p in pictures), "--json", cwd=work)
            answer["predict"] = [p.get("predictions") or p.get("values") for p in json.loads(done.stdout)["photos"]]
        answers["models"][path.stem] = answer
    answers["resumed"] = (work / "runs/whole/log.csv").read_text().splitlines()
    (out / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
    detector.unlink()
    shutil.rmtree(work)


main()
