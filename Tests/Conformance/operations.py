"""Each operation on values of any rank, forward and backward, against PyTorch.

A network is written as a native file: a convolution that learns, the operation, a linear layer to five
classes. Outputs must agree within 1e-5 of the largest magnitude, gradients within 1e-4.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

from _graft import graft, report

torch.manual_seed(0)
SHAPE = (2, 3, 6, 5)


class Network:
    """Nodes of a native file, and the weights that they name."""

    def __init__(self):
        self.nodes = [{"inputs": [], "name": "input", "op": {"input": {"channels": 3}}, "parameters": [], "stage": ""}]
        self.weights = {}

    def add(self, name, op, inputs, **weights):
        """A node; its weights by role."""
        parameters = []
        for role, value in weights.items():
            key = name if role in ("value", "constant") else f"{name}.{role}"
            self.weights[key] = np.ascontiguousarray(value, dtype=np.float32)
            parameters.append({"name": key, "role": role, "shape": list(value.shape)})
        self.nodes.append({"inputs": inputs, "name": name, "op": op, "parameters": parameters, "stage": name})
        return len(self.nodes) - 1

    def save(self, path, output):
        graph = {
            "features": output - 1, "logits": output, "name": "operations", "naming": "torch",
            "nodes": self.nodes, "output": output,
        }
        metadata = {
            "graft.format": "1", "graft.graph": json.dumps(graph), "graft.labels": "[]",
            "graft.input": json.dumps({
                "height": SHAPE[2], "width": SHAPE[3], "kernel": "tensorflow-bilinear", "resize": "squash",
                "normalization": {"channels": "rgb", "mean": [0, 0, 0], "scale": 1, "std": [1, 1, 1]},
            }),
            "graft.source": json.dumps({"reference": "operations", "sha256": "0" * 64}),
        }
        save_file(self.weights, path, metadata)


def numbers(*shape, low=-1.0, high=1.0):
    return np.random.default_rng(len(shape) * 7 + sum(shape)).uniform(low, high, shape).astype(np.float32)


def value(net, name, array, learns=True):
    """A weight as a value of its own."""
    op = {"parameter": {"shape": list(array.shape), "learns": learns}}
    return net.add(name, op, [], **{"value" if learns else "constant": array})


def one(op, function, positive=False):
    """A case of one operation on the map that the convolution yields; `positive` keeps it between 0 and 1."""
    def build(net, x):
        if positive:
            x = net.add("positive", {"activation": {"_0": "sigmoid"}}, [x])
        return net.add("op", op, [x])

    return build, (lambda x, w: function(x.sigmoid() if positive else x))


def unary(name, function, positive=False):
    return one({"elementwise": {"function": name}}, function, positive)


def binary(name, function, shape, positive=False):
    """An operation on the map and on a weight of another shape."""
    array = numbers(*shape, low=0.5, high=1.5)

    def build(net, x):
        if positive:
            x = net.add("positive", {"activation": {"_0": "sigmoid"}}, [x])
        return net.add("op", name if isinstance(name, dict) else {"binary": {"function": name}},
                       [x, value(net, "other", array)])

    return build, (lambda x, w: function(x.sigmoid() if positive else x, w["other"]))


def product(left, right, **flags):
    """A product of two values that are views of the map, or weights."""
    def build(net, x):
        a = net.add("a", {"view": {"sizes": left}}, [x])
        array = numbers(*right)
        op = {"matMul": {"transposesLeft": flags.get("a", False), "transposesRight": flags.get("b", False)}}
        return net.add("op", op, [a, value(net, "other", array)])

    def run(x, w):
        a = x.reshape([x.shape[i] if s == 0 else s for i, s in enumerate(left)])
        b = w["other"]
        return (a.mT if flags.get("a") else a) @ (b.mT if flags.get("b") else b)

    return build, run


def attention(net, x):
    tokens = net.add("tokens", {"view": {"sizes": [0, 4, -1]}}, [x])  # (N, 4, 30)
    qkv = net.add("qkv", {"linear": {"outputs": 24, "bias": True}}, [tokens],
                  matrix=numbers(24, 30), bias=numbers(24))
    heads = net.add("heads", {"view": {"sizes": [0, 0, 3, 2, 4]}}, [qkv])
    parts = net.add("parts", {"transpose": {"order": [2, 0, 3, 1, 4]}}, [heads])  # (3, N, 2, T, 4)
    q, k, v = (net.add(n, {"view": {"sizes": [-1, 2, 4, 4]}}, [
        net.add(n + "_cut", {"slice": {"start": i, "count": 1, "axis": 0}}, [parts])]) for i, n in enumerate("qkv"))
    scores = net.add("scores", {"matMul": {"transposesLeft": False, "transposesRight": True}}, [q, k])
    scaled = net.add("scaled", {"multiply": {}}, [scores, value(net, "scale", np.array([0.5], np.float32), False)])
    shares = net.add("shares", {"softmax": {"axis": 3}}, [scaled])
    mixed = net.add("mixed", {"matMul": {"transposesLeft": False, "transposesRight": False}}, [shares, v])
    back = net.add("back", {"transpose": {"order": [0, 2, 1, 3]}}, [mixed])
    joined = net.add("joined", {"view": {"sizes": [0, 0, 8]}}, [back])
    token = value(net, "token", numbers(1, 1, 8))
    repeated = net.add("repeated", {"expand": {"sizes": [-2, -1, -1]}}, [token, joined])
    longer = net.add("longer", {"concatenate": {"axis": 1}}, [repeated, joined])
    return net.add("norm", {"layerNorm": {"epsilon": 1e-6, "axes": [2]}}, [longer], scale=numbers(8), shift=numbers(8))


def torch_attention(x, w):
    t = x.reshape(x.shape[0], 4, -1)
    qkv = F.linear(t, w["qkv.matrix"], w["qkv.bias"]).reshape(-1, 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(*qkv, scale=0.5).transpose(1, 2).reshape(-1, 4, 8)
    out = torch.cat([w["token"].expand(len(x), 1, 8), out], 1)
    return F.layer_norm(out, (8,), w["norm.scale"], w["norm.shift"], 1e-6)


def heads(packed=True, causal=False, bias=None, keys=4, scale=None):
    """Attention as one operation: of one value or of three, with a bias (a weight) of some shape."""
    def build(net, x):
        tokens = net.add("tokens", {"view": {"sizes": [0, 4, -1]}}, [x])  # (N, 4, 30)
        if packed:
            reads = [net.add("qkv", {"linear": {"outputs": 24, "bias": True}}, [tokens],
                             matrix=numbers(24, 30), bias=numbers(24))]
        else:
            others = net.add("others", {"view": {"sizes": [0, keys, -1]}}, [x])
            wide = 120 // keys
            reads = [net.add(n, {"linear": {"outputs": outputs, "bias": False}}, [y], matrix=numbers(outputs, width))
                     for n, outputs, y, width in (("q", 8, tokens, 30), ("k", 8, others, wide), ("v", 12, others, wide))]
        if bias:
            reads.append(value(net, "bias", numbers(*bias)))
        return net.add("op", {"attention": {"heads": 2, "isCausal": causal, **({"scale": scale} if scale else {})}}, reads)

    def run(x, w):
        n = len(x)
        tokens, others = x.reshape(n, 4, -1), x.reshape(n, keys, -1)
        if packed:
            q, k, v = F.linear(tokens, w["qkv.matrix"], w["qkv.bias"]).chunk(3, -1)
        else:
            q, k, v = F.linear(tokens, w["q.matrix"]), F.linear(others, w["k.matrix"]), F.linear(others, w["v.matrix"])
        q, k, v = (t.reshape(n, t.shape[1], 2, -1).transpose(1, 2) for t in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=w["bias"].reshape((1,) * (4 - len(bias)) + bias) if bias else None, is_causal=causal, scale=scale)
        return out.transpose(1, 2).reshape(n, 4, -1)

    return build, run


def normalized(op, function):
    """A normalisation with weights by channel."""
    def build(net, x):
        return net.add("op", op, [x], scale=numbers(4), shift=numbers(4))

    return build, (lambda x, w: function(x, w["op.scale"], w["op.shift"]))


def resize(height, width, mode, coordinates="halfPixel", antialiases=False, **torch_options):
    op = {"resize": {
        "target": {"sizes": {"height": height, "width": width}}, "mode": mode, "coordinates": coordinates,
        "rounding": "floor" if mode == "nearest" else "roundPreferFloor", "cubic": -0.75,
        "excludesOutside": antialiases, "antialiases": antialiases}}
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    return one(op, lambda x: F.interpolate(
        x, (height, width), mode=names[mode], antialias=antialiases,
        align_corners=torch_options.get("align_corners", None if mode == "nearest" else False)))


def pad(before, after, mode):
    op = {"padAxes": {"before": before, "after": after, "mode": mode, "value": 0.25}}
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}

    def run(x):
        amounts = [before[3], after[3], before[2], after[2]]
        if mode == "constant":
            return F.pad(x, amounts + [before[1], after[1]], value=0.25)
        return F.pad(x, amounts, mode=names[mode])

    return one(op, run)


CASES = {
    "attention": (attention, torch_attention),
    "attention in one": heads(), "attention of three": heads(packed=False, keys=6, scale=0.3),
    "attention causal": heads(causal=True), "attention by head": heads(bias=(2, 4, 4)),
    "attention by query": heads(packed=False, keys=5, bias=(1, 1, 4, 5)), "attention by key": heads(bias=(4,)),
    "quick GELU": one({"activation": {"_0": "quickGELU"}}, lambda x: x * (1.702 * x).sigmoid()),
    "abs": unary("abs", torch.abs), "neg": unary("neg", torch.neg), "exp": unary("exp", torch.exp),
    "log": unary("log", torch.log, True), "sqrt": unary("sqrt", torch.sqrt, True),
    "reciprocal": unary("reciprocal", torch.reciprocal, True), "erf": unary("erf", torch.erf),
    "sin": unary("sin", torch.sin), "cos": unary("cos", torch.cos), "tan": unary("tan", torch.tan, True),
    "atan": unary("atan", torch.atan), "sinh": unary("sinh", torch.sinh), "cosh": unary("cosh", torch.cosh),
    "asinh": unary("asinh", torch.asinh),
    "subtract": binary("subtract", torch.sub, (4, 1, 1)), "divide": binary("divide", torch.div, (1, 6, 1)),
    "power": binary("power", torch.pow, (1,), True), "minimum": binary("minimum", torch.minimum, (6, 5)),
    "maximum": binary("maximum", torch.maximum, (2, 4, 6, 5)),
    "add 4 axes": binary({"add": {}}, torch.add, (1, 4, 1, 5)),
    "multiply last axis": binary({"multiply": {}}, torch.mul, (5,)),
    "matmul": product([0, 8, 15], (15, 4)), "matmul batched": product([0, 8, 15], (2, 15, 3)),
    "matmul repeated": product([0, 2, 4, 15], (2, 15, 3)), "matmul transposed": product([0, 15, 8], (3, 15), a=True, b=True),
    "matmul vector": product([0, 8, 15], (15,)),
    "transpose": one({"transpose": {"order": [0, 3, 1, 2]}}, lambda x: x.permute(0, 3, 1, 2)),
    "view": one({"view": {"sizes": [0, 2, -1, 5]}}, lambda x: x.reshape(x.shape[0], 2, -1, 5)),
    "softmax axis 3": one({"softmax": {"axis": 3}}, lambda x: x.softmax(3)),
    "log softmax axis 2": one({"softmax": {"axis": 2, "log": True}}, lambda x: x.log_softmax(2)),
    "slice rows": one({"slice": {"start": 1, "count": 3, "axis": 2, "step": 2}}, lambda x: x[:, :, 1::2]),
    "slice backwards": one({"slice": {"start": 4, "count": 5, "axis": 3, "step": -1}}, lambda x: x.flip(3)),
    "mean rows": one({"reduce": {"function": "mean", "axes": [2], "keepsAxes": False}}, lambda x: x.mean(2)),
    "sum apart": one({"reduce": {"function": "sum", "axes": [1, 3], "keepsAxes": True}}, lambda x: x.sum((1, 3), True)),
    "maximum apart": one({"reduce": {"function": "maximum", "axes": [1, 3], "keepsAxes": False}}, lambda x: x.amax((1, 3))),
    "minimum": one({"reduce": {"function": "minimum", "axes": [2, 3], "keepsAxes": False}}, lambda x: x.amin((2, 3))),
    "group norm": normalized({"groupNorm": {"groups": 2, "epsilon": 1e-5}}, lambda x, a, b: F.group_norm(x, 2, a, b)),
    "instance norm": normalized({"groupNorm": {"groups": 4, "epsilon": 1e-5}}, lambda x, a, b: F.instance_norm(x, weight=a, bias=b)),
    "layer norm channels": normalized({"layerNorm": {"epsilon": 1e-5}},
        lambda x, a, b: F.layer_norm(x.permute(0, 2, 3, 1), (4,), a, b, 1e-5).permute(0, 3, 1, 2)),
    "local response norm": one({"localResponseNorm": {"size": 3, "alpha": 0.1, "beta": 0.75, "bias": 1.0}},
        lambda x: F.local_response_norm(x, 3, 0.1, 0.75, 1.0)),
    "pad constant": pad([0, 1, 2, 0], [0, 0, -1, 1], "constant"), "pad reflect": pad([0, 0, 2, 1], [0, 0, 1, 3], "reflect"),
    "pad edge": pad([0, 0, 1, 3], [0, 0, 2, 0], "edge"), "pad wrap": pad([0, 0, 2, 1], [0, 0, 1, 2], "wrap"),
    "resize nearest": resize(9, 4, "nearest", "asymmetric"), "resize linear": resize(11, 3, "linear"),
    "resize corners": resize(4, 9, "linear", "alignCorners", align_corners=True),
    "resize cubic": resize(9, 8, "cubic"), "resize antialias": resize(3, 2, "linear", antialiases=True),
}

with tempfile.TemporaryDirectory(prefix="graft-operations-") as name:
    home = Path(name)
    for name, (build, run) in CASES.items():
        net = Network()
        kernel = net.add("stem", {"conv2d": {
            "outputs": 4, "groups": 1, "bias": True, "window": {
                "kernel": {"height": 3, "width": 3}, "stride": {"height": 1, "width": 1},
                "dilation": {"height": 1, "width": 1}, "roundsUp": False,
                "padding": {"explicit": {"_0": {"top": 1, "left": 1, "bottom": 1, "right": 1}}}}}}, [0],
            kernel=numbers(4, 3, 3, 3), bias=numbers(4))
        x = numbers(*SHAPE)
        with torch.no_grad():
            stem = F.conv2d(torch.tensor(x), torch.tensor(net.weights["stem.kernel"]),
                            torch.tensor(net.weights["stem.bias"]), padding=1)
        at = build(net, kernel)
        weights = {k: torch.tensor(v, dtype=torch.float64) for k, v in net.weights.items()}
        width = run(stem.double(), weights).reshape(SHAPE[0], -1).shape[1]
        flat = net.add("flat", {"view": {"sizes": [0, -1]}}, [at])
        head = net.add("head", {"linear": {"outputs": 5, "bias": False}}, [flat], matrix=numbers(5, width))
        net.save(home / "m.safetensors", head)
        np.save(home / "x.npy", x)
        np.save(home / "labels.npy", np.array([1, 3], np.int64))
        # In double precision, so that the difference is graft's alone.
        learns = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in net.weights.items()}
        truth = F.linear(run(F.conv2d(torch.tensor(x).double(), learns["stem.kernel"], learns["stem.bias"], padding=1),
                             learns).reshape(SHAPE[0], -1), learns["head.matrix"])
        F.cross_entropy(truth, torch.tensor([1, 3])).backward()
        graft("run", home / "m.safetensors", "--input", home / "x.npy", "--output", home / "y.npy")
        mine = np.load(home / "y.npy")
        error = np.abs(mine - truth.detach().numpy()).max() / np.abs(truth.detach().numpy()).max()
        report.within(f"{name}: output", error, 1e-5)
        graft("gradients", home / "m.safetensors", "--input", home / "x.npy", "--labels", home / "labels.npy",
                "-o", home / "g.safetensors")
        found = load_file(home / "g.safetensors")
        worst = 0.0
        # What is next to nothing beside the others (a bias before a softmax) is compared at their scale.
        largest = max(t.grad.abs().max().item() for t in learns.values() if t.grad is not None)
        for key, tensor in learns.items():
            if key not in found or tensor.grad is None:
                continue
            scale = max(tensor.grad.abs().max().item(), 1e-2 * largest)
            worst = max(worst, np.abs(found[key] - tensor.grad.numpy()).max() / scale)
        report.within(f"{name}: gradients of {len(found) - 1} tensors", worst, 1e-4)

report.finish()
