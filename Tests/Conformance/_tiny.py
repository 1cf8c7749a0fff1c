"""A small network with BatchNorm as graft's native model: conv-BN-ReLU three times, a mean, five classes."""
import json

import numpy as np
from safetensors.numpy import save_file


def tiny_graph(naming):
    """conv-BN-ReLU ×3, each a stage, global mean, linear: as graft's native model describes it."""
    suffix = {"torch": [".weight", ".bias", ".weight", ".bias", ".running_mean", ".running_var"],
              "keras": ["/kernel", "/bias", "/gamma", "/beta", "/moving_mean", "/moving_variance"]}[naming]
    nodes, channels = [{"name": "input", "op": {"input": {"channels": 3}}, "inputs": [], "parameters": [], "stage": ""}], 3

    def node(name, op, parameters):
        stage = "head" if name == "fc" else f"block{name[-1]}" if name != "pool" else "block3"
        nodes.append({"name": name, "op": op, "inputs": [len(nodes) - 1], "parameters": parameters, "stage": stage})

    extent = lambda n: {"height": n, "width": n}
    for i, width in enumerate([8, 16, 32], 1):
        pad = {"explicit": {"_0": {"top": 1, "left": 1, "bottom": 1, "right": 1}}} if naming == "torch" else {"same": {}}
        window = {"kernel": extent(3), "stride": extent(2 if i > 1 else 1), "dilation": extent(1), "padding": pad, "roundsUp": False}
        node(f"conv{i}", {"conv2d": {"outputs": width, "window": window, "groups": 1, "bias": False}},
             [{"name": f"conv{i}{suffix[0]}", "shape": [width, channels, 3, 3], "role": "kernel"}])
        node(f"bn{i}", {"batchNorm": {"epsilon": 1e-3, "momentum": 0.1, "scale": True, "shift": True}},
             [{"name": f"bn{i}{s}", "shape": [width], "role": r} for s, r in
              zip(suffix[2:], ["scale", "shift", "runningMean", "runningVariance"])])
        node(f"relu{i}", {"activation": {"_0": "relu"}}, [])
        channels = width
    node("pool", {"globalAveragePool": {"keepsDimensions": False}}, [])
    node("fc", {"linear": {"outputs": 5, "bias": True}},
         [{"name": f"fc{suffix[0]}", "shape": [5, channels], "role": "matrix"},
          {"name": f"fc{suffix[1]}", "shape": [5], "role": "bias"}])
    return {"name": "tiny", "nodes": nodes, "output": len(nodes) - 1, "features": len(nodes) - 2,
            "logits": len(nodes) - 1, "naming": naming}


def write_native(graph, tensors, size, path, mean=0, std=1):
    input = {"resize": "squash", "kernel": "bilinear", "height": size, "width": size,
             "normalization": {"scale": 1, "mean": [mean] * 3, "std": [std] * 3, "channels": "rgb"}}
    reference = {"reference": "conformance", "sha256": "0" * 64}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path, metadata={
        "graft.format": "1", "graft.graph": json.dumps(graph), "graft.input": json.dumps(input),
        "graft.labels": "[]", "graft.source": json.dumps(reference)})


def tiny_torch():
    """The network as a PyTorch module."""
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for i, (a, b) in enumerate([(3, 8), (8, 16), (16, 32)], 1):
                setattr(self, f"conv{i}", torch.nn.Conv2d(a, b, 3, 2 if i > 1 else 1, 1, bias=False))
                setattr(self, f"bn{i}", torch.nn.BatchNorm2d(b, eps=1e-3))
            self.fc = torch.nn.Linear(32, 5)

        def forward(self, x):
            for i in (1, 2, 3):
                x = torch.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
            return self.fc(x.mean((2, 3)))

    return Tiny()


def write_tiny_torch(model, path):
    """A module of tiny_torch as graft's native model."""
    state = {k: v.numpy() for k, v in model.state_dict().items() if "num_batches" not in k}
    write_native(tiny_graph("torch"), state, 32, path)


def random_tiny(size, path, seed=3):
    """The network with random weights and statistics, named as PyTorch would."""
    graph, random = tiny_graph("torch"), np.random.default_rng(seed)
    spread = {"kernel": 0.3, "matrix": 0.3, "bias": 0.0, "scale": 0.1, "shift": 0.1, "runningMean": 0.1, "runningVariance": 0.1}
    tensors = {}
    for parameter in (p for node in graph["nodes"] for p in node["parameters"]):
        role = parameter["role"]
        tensors[parameter["name"]] = random.normal(1.0 if role in ("scale", "runningVariance") else 0.0, spread[role], parameter["shape"]).astype("f4")
    write_native(graph, tensors, size, path, mean=127.5, std=64)
    return tensors
