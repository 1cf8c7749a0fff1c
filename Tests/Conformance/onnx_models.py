"""What graft exports to ONNX, onnxruntime computes the same numbers with, and graft reads back.

Run by `make conformance` with GRAFT=path of the program.
"""
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

from _graft import graft, report, weights


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
    """A model with its preprocessing inside takes RGB of 0 to 255; one without its top gives what the top reads."""
    random = np.random.default_rng(2)
    colours = random.integers(0, 256, (2, 3, 224, 224)).astype("f4")
    mean, std = np.array([0.485, 0.456, 0.406])[:, None, None], np.array([0.229, 0.224, 0.225])[:, None, None]
    caffe = np.array([103.939, 116.779, 123.68])[:, None, None]
    for name, prepared in [("torchvision/resnet18", (colours / 255 - mean) / std), ("resnet50", colours[:, ::-1] - caffe),
                           ("mobilenetv2", colours / 127.5 - 1)]:
        tensors = weights(name, random)
        save_file(tensors, at("w.safetensors"))
        graft("convert", at("w.safetensors"), "--architecture", name, "-o", at("m.safetensors"))
        for flags, out in [([], "plain"), (["--with-preprocessing"], "whole"), (["--notop"], "bare")]:
            graft("convert", at("m.safetensors"), "--to", "onnx", *flags, "-o", at(f"{out}.onnx"))
        prepared = prepared.astype("f4")
        plain = session(at("plain.onnx")).run(None, {"input": prepared})[0]
        whole = session(at("whole.onnx")).run(None, {"input": colours})[0]
        error = np.abs(plain - whole).max() / np.abs(plain).max()
        report(error < 1e-4, f"{name} --with-preprocessing", f"relative error {error:.1e}")
        bare = session(at("bare.onnx")).run(None, {"input": prepared})[0]
        last = [k for k in tensors if tensors[k].ndim == 2][-1]
        scores = (bare.mean((2, 3)) if bare.ndim == 4 else bare) @ tensors[last].T + tensors[[k for k in tensors if "bias" in k][-1]]
        if name != "torchvision/resnet18":  # Keras' networks end in probabilities.
            scores = np.exp(scores - scores.max(1, keepdims=True))
            scores /= scores.sum(1, keepdims=True)
        error = np.abs(plain - scores).max() / np.abs(plain).max()
        report(error < 1e-4, f"{name} --notop", f"{bare.shape}, relative error {error:.1e}")


names = sys.argv[1:] or ["resnet50", "densenet121", "mobilenetv2", "torchvision/resnet18",
                         "torchvision/mobilenet_v2", "timm/tf_efficientnet_lite0"]
with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    transposed(at)
    variants(at)
    for name in names:
        random = np.random.default_rng(1)
        try:
            save_file(weights(name, random), at("w.safetensors"))
            graft("convert", at("w.safetensors"), "--architecture", name, "-o", at("m.safetensors"))
            graft("convert", at("m.safetensors"), "--to", "onnx", "-o", at("m.onnx"))
            onnx.checker.check_model(at("m.onnx"), full_check=True)
            session = onnxruntime.InferenceSession(at("m.onnx"), providers=["CPUExecutionProvider"])
            shape = session.get_inputs()[0].shape
            x = random.normal(size=(2, *shape[1:])).astype("f4")
            np.save(at("x.npy"), x)
            graft("run", at("m.safetensors"), "--input", at("x.npy"), "--output", at("y.npy"))
            theirs = session.run(None, {"input": x})[0]
            error = np.abs(np.load(at("y.npy")) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"{name} -> onnx", f"relative error {error:.1e}")
            graft("run", at("m.onnx"), "--input", at("x.npy"), "--output", at("z.npy"))
            error = np.abs(np.load(at("z.npy")) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"onnx of {name} in graft", f"relative error {error:.1e}")
        except Exception as error:
            report(False, name, f"{type(error).__name__}: {str(error)[-500:]}")
report.finish()
