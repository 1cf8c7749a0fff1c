"""A network through every pair of containers that can carry it, bit for bit, and what each cannot carry.

The eight formats that graft writes, each to each: in all 64 the format's own reader finds the same numbers, and back in the
native form each tensor has them. Run by `make conformance` with GRAFT=path of the program.
"""
import itertools
import json
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras
import numpy as np
import onnx
import safetensors.numpy
import torch

from _graft import attempt as graft
from _graft import report, weights

NETWORK = "mobilenet:0.25-128"
ENDINGS = {"native": "native", "safetensors": "safetensors", "npz": "npz", "torch": "pth", "keras-h5": "h5",
           "keras-weights": "weights.h5", "keras": "keras", "onnx": "onnx"}
# Who says what the network is; for the others it is named.
SELF_DESCRIBING = {"native", "keras", "onnx"}


def multiset(arrays):
    """Arrays whatever their names and the order of their axes: sorted bytes of sorted numbers."""
    return sorted((a.dtype.name, a.size, np.sort(a.reshape(-1)).tobytes()) for a in map(np.asarray, arrays))


def read(path, kind):
    """The arrays that the format's own library finds."""
    if kind in ("native", "safetensors"):
        return safetensors.numpy.load_file(path).values()
    if kind == "npz":
        return np.load(path).values()
    if kind == "torch":
        return [t.numpy() for t in torch.load(path, weights_only=True).values()]
    if kind == "keras":
        return [v.numpy() for v in keras.models.load_model(path).weights]
    if kind == "onnx":
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        return [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
    found = []
    with h5py.File(path) as f:
        f.visititems(lambda _, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def network(at):
    start = at("start.safetensors")
    safetensors.numpy.save_file(weights(NETWORK, np.random.default_rng(5)), start)
    wanted = multiset(read(start, "safetensors"))
    first = {}
    for a, ending in ENDINGS.items():
        run = graft("convert", start, "--architecture", NETWORK, "--to", a, "-o", at(f"a.{ending}"))
        if run.returncode:
            report(False, f"start -> {a}", run.stderr[-300:])
        else:
            first[a] = at(f"a.{ending}")
    for a, b in itertools.product(first, ENDINGS):
        out = at(f"b.{ENDINGS[b]}")
        # Named, weights alone come with PyTorch's axes whatever those of their file are.
        named = [] if a in ("native", "onnx") else ["--architecture", NETWORK]
        run = graft("convert", first[a], *named, "--to", b, "-o", out)
        if run.returncode:
            report(False, f"{a} -> {b}", run.stderr[-300:])
            continue
        found = list(read(out, b))
        # ONNX holds what its operators need beside the weights, such as shapes; as weights alone they stay.
        exact = multiset(found) == wanted if "onnx" not in (a, b) else all(w in multiset(found) for w in wanted)
        if a == "onnx" and b in ("safetensors", "npz", "torch", "keras-h5"):
            report(exact, f"{a} -> {b}", f"{len(found)} tensors, the constants of its operators among them, axes as they are")
            continue
        # Back under the network's own names and axes: each tensor, and not only all numbers, is what it was.
        # An ONNX file holds constants that are no weights of the network: it says itself what it is.
        named = [] if b == "onnx" else ["--architecture", NETWORK]
        if os.path.exists(at("back.safetensors")):
            os.remove(at("back.safetensors"))
        back = graft("convert", out, *named, "-o", at("back.safetensors"))
        diff = graft("diff", first["native"], at("back.safetensors"))
        same = back.returncode == diff.returncode == 0
        report(exact and same, f"{a} -> {b}", f"{len(found)} tensors" if exact and same
               else f"numbers {exact}, back {same} {back.stderr[-200:]} {diff.stdout[-200:]}{diff.stderr[-200:]}")
    # Whatever their formats, names and axes: one network, compared as such.
    bad = []
    for a, b in itertools.product(first, first):
        run = graft("diff", first[a], first[b], "--json")
        if run.returncode or json.loads(run.stdout)["equal"] < len(wanted):
            bad.append((a, b, run.stdout[:200] + run.stderr[-200:]))
    report(not bad, f"graft diff, {len(first) ** 2} pairs of formats: the same", bad[:2] if bad else "")
    # Half the width: what carries it, carries its bits.
    for dtype, b in itertools.product(["f16", "bf16"], ENDINGS):
        out = at(f"half.{ENDINGS[b]}")
        run = graft("convert", first["native"], "--to", b, "--dtype", dtype, "-o", out)
        if b == "onnx":
            report(run.returncode == 64, f"native -> {b}, {dtype}: cannot carry it, refused")
            continue
        back = graft("convert", out, *([] if b in SELF_DESCRIBING else ["--architecture", NETWORK]), "-o", at("back.safetensors"))
        direct = graft("convert", first["native"], "--dtype", dtype, "-o", at("direct.safetensors"))
        # NumPy has no bfloat16: what comes back is f32 of the same values.
        widened = (dtype, b) == ("bf16", "npz")
        if widened:
            graft("convert", at("direct.safetensors"), "--dtype", "f32", "-o", at("wide.safetensors"))
        diff = graft("diff", at("wide.safetensors" if widened else "direct.safetensors"), at("back.safetensors"))
        good = run.returncode == back.returncode == direct.returncode == diff.returncode == 0
        report(good, f"native -> {b} -> native, {dtype}", "" if good else f"{run.stderr[-200:]} {back.stderr[-200:]} {diff.stdout[-300:]}")


def unable(at):
    """Tensors that a container cannot carry are refused by name, and nothing is left."""
    state = {"z": torch.zeros(2, dtype=torch.complex64), "e": torch.zeros(2).to(torch.float8_e4m3fn)}
    for name, tensor in state.items():
        torch.save({name: tensor}, at("odd.pth"))
        for kind, ending in ENDINGS.items():
            out = at(f"odd-out.{ending}")
            run = graft("convert", at("odd.pth"), "--to", kind, "-o", out)
            carries = kind in ("safetensors", "torch", "npz")
            if carries:
                report(run.returncode == 0, f"{tensor.dtype} in {kind}: carried" + (", widened" if kind == "npz" and name == "e" else ""), run.stderr[-200:])
            else:
                good = run.returncode == 1 and run.stderr.startswith("error:") and not os.path.exists(out)
                report(good, f"{tensor.dtype} in {kind}: refused, nothing left", "" if good else run.stderr[-200:])


with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    network(at)
    unable(at)
report.finish()
