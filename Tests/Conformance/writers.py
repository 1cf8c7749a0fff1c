"""What graft writes, its real readers open: every dtype and odd shape, through every pair of formats.

Run by `make conformance` with GRAFT=path of the program.
"""
import itertools
import json
import os
import tempfile

import h5py
import ml_dtypes
import numpy as np
import onnx
import safetensors
import safetensors.torch
import torch

from _graft import attempt as graft
from _graft import report


def same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def arrays(tensors):
    """torch tensors as NumPy arrays, bfloat16 too."""
    return {k: (t.contiguous().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
                if t.dtype == torch.bfloat16 else t.contiguous().numpy()) for k, t in tensors.items()}


def read(path, kind):
    """What the format's own library sees."""
    if kind == "safetensors":
        return arrays(safetensors.torch.load_file(path))
    if kind == "torch":
        return arrays(torch.load(path, weights_only=True))
    if kind == "npz":
        return dict(np.load(path))
    found = {}
    with h5py.File(path) as f:
        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                layer, variable = name.split("/")[0], name.split("/")[-1]
                value = item[()]
                if item.dtype.kind == "V" and item.attrs["dtype"] == "bfloat16":
                    value = np.asarray(value).view(ml_dtypes.bfloat16)
                found[f"{layer}/{variable}"] = np.asarray(value)
        f.visititems(visit)
    return found


random = np.random.default_rng(0)
dtypes = ["bool", "i1", "u1", "i2", "i4", "i8", "f2", "f4", "f8", "u2", "u4", "u8"]
shapes = {"scalar": (), "empty": (0, 3), "vector": (5,), "map": (2, 3, 4), "five": (1, 2, 3, 2, 2)}
state = {f"{t}/{s}": torch.tensor(random.integers(0, 100, shape).astype(t))
         for t in dtypes for s, shape in shapes.items()}
state |= {f"bf16/{s}": torch.tensor(random.normal(size=shape)).bfloat16() for s, shape in shapes.items()}
state["turned/f4"] = state["f4/five"].permute(4, 2, 0, 3, 1)
expected = arrays(state)
suffix = {"safetensors": "safetensors", "torch": "pth", "npz": "npz", "keras-h5": "h5"}

with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    torch.save(state, at("start.pth"))
    first = {}
    for kind, ending in suffix.items():
        path = at(f"first.{ending}")
        run = graft("convert", at("start.pth"), "--to", kind, "-o", path)
        found = read(path, kind) if run.returncode == 0 else {}
        wanted = dict(expected)
        if kind == "npz":
            wanted |= {k: v.astype("f4") for k, v in expected.items() if k.startswith("bf16")}
        bad = [k for k in wanted if k not in found or not same(found[k], wanted[k])]
        report(run.returncode == 0 and not bad and len(found) == len(wanted),
               f"{kind}: its own library reads {len(wanted)} tensors bit for bit", f"{bad[:3]} {run.stderr[-200:] if run.returncode else ''}")
        first[kind] = (path, wanted)
    for (a, (path, wanted)), b in itertools.product(first.items(), suffix):
        out = at(f"second.{suffix[b]}")
        run = graft("convert", path, "--to", b, "-o", out)
        found = read(out, b) if run.returncode == 0 else {}
        if b == "npz":
            wanted = {k: v.astype("f4") if k.startswith("bf16") else v for k, v in wanted.items()}
        bad = [k for k in wanted if k not in found or not same(found[k], wanted[k])]
        report(run.returncode == 0 and not bad, f"{a} -> {b}", f"{bad[:3]} {run.stderr[-200:] if run.returncode else ''}")

    # Types that only some formats have, between those.
    rare = {f"{t}/{s}": torch.tensor(random.normal(size=shape).astype("f4")).to(getattr(torch, t))
            for t in ["float8_e4m3fn", "float8_e5m2", "complex64"] for s, shape in shapes.items()}
    bits = lambda tensors: {k: (v.dtype, tuple(v.shape), v.contiguous().view(torch.uint8).numpy().tobytes() if v.numel() and v.dim() else
                                v.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()) for k, v in tensors.items()}
    torch.save(rare, at("rare.pth"))
    graft("convert", at("rare.pth"), "--to", "safetensors", "-o", at("rare.safetensors"))
    run = graft("convert", at("rare.safetensors"), "--to", "torch", "-o", at("again.pth"))
    good = run.returncode == 0 and bits(torch.load(at("again.pth"), weights_only=True)) == bits(rare)
    report(good, f"8-bit floats and complex numbers, torch -> safetensors -> torch, {len(rare)} tensors", run.stderr[-200:])
    eights = {k: v for k, v in rare.items() if "float8" in k}
    safetensors.torch.save_file(eights, at("eights.safetensors"))
    graft("convert", at("eights.safetensors"), "--to", "torch", "-o", at("eights.pth"))
    graft("convert", at("eights.pth"), "--to", "safetensors", "-o", at("eights2.safetensors"))
    report(bits(safetensors.torch.load_file(at("eights2.safetensors"))) == bits(eights), "8-bit floats, safetensors -> torch -> safetensors")
    graft("convert", at("rare.pth"), "--to", "npz", "-o", at("rare.npz"))
    found = dict(np.load(at("rare.npz")))
    good = all(found[k].tobytes() == (v.numpy() if "complex" in k else v.float().numpy()).tobytes() for k, v in rare.items())
    report(good, "8-bit floats as 32 bits and complex numbers, torch -> npz")
    run = graft("convert", at("rare.pth"), "--to", "keras-h5", "-o", at("rare.h5"))
    report(run.returncode == 1 and "hint:" in run.stderr and not os.path.exists(at("rare.h5")), "HDF5 has no such numbers: refused, nothing left")

    # From formats that graft does not write weights alone to.
    plain = {k.replace("/", "."): v for k, v in state.items() if k.split("/")[0] not in ("u2", "u4", "u8")}
    tensors = [onnx.numpy_helper.from_array(v, k) for k, v in arrays(plain).items()]
    value = onnx.helper.make_tensor_value_info("x", 1, (1,))
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, (1,))], tensors)
    onnx.save(onnx.helper.make_model(graph), at("w.onnx"))
    for kind, ending in suffix.items():
        out = at(f"from_onnx.{ending}")
        run = graft("convert", at("w.onnx"), "--to", kind, "-o", out)
        found = read(out, kind) if run.returncode == 0 else {}
        wanted = {k.replace(".", "/") if kind == "keras-h5" else k: v.astype("f4") if kind == "npz" and k.startswith("bf16") else v
                  for k, v in arrays(plain).items()}
        bad = [k for k in wanted if k not in found or not same(found[k], wanted[k])]
        report(run.returncode == 0 and not bad, f"onnx -> {kind}", f"{bad[:3]} {run.stderr[-200:] if run.returncode else ''}")

    # Number types: rounded as PyTorch rounds.
    source = {"x": torch.randn(1000) * torch.logspace(-9, 5, 1000), "n": torch.arange(3),
              "odd": torch.tensor([float("inf"), float("nan"), -0.0, 65520.0, 1e-8])}
    safetensors.torch.save_file(source, at("f32.safetensors"))
    for name, dtype in {"f16": torch.float16, "bf16": torch.bfloat16}.items():
        graft("convert", at("f32.safetensors"), "--to", "safetensors", "--dtype", name, "-o", at("o.safetensors"))
        found = safetensors.torch.load_file(at("o.safetensors"))
        good = found["n"].dtype == torch.int64 and all(
            torch.equal(found[k].nan_to_num(7), source[k].to(dtype).nan_to_num(7)) for k in ("x", "odd"))
        report(good, f"--dtype {name} rounds as PyTorch does")

    # Shards, as transformers' loaders expect them.
    big = {f"t{i}": torch.randn(1000) for i in range(10)}
    safetensors.torch.save_file(big, at("big.safetensors"))
    run = graft("convert", at("big.safetensors"), "--to", "safetensors", "--shard-size", "12KB", "-o", at("cut.safetensors"))
    index = json.load(open(at("cut.safetensors.index.json")))
    good = index["metadata"]["total_size"] == 40000 and len(set(index["weight_map"].values())) == 4
    for name, shard in index["weight_map"].items():
        with safetensors.safe_open(at(shard), "pt") as f:
            good &= torch.equal(f.get_tensor(name), big[name])
    report(good, "--shard-size", f"{len(set(index['weight_map'].values()))} shards and an index")
report.finish()
