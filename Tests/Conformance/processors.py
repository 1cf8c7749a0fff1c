"""Older processors give the same numbers: graft under an emulator without AVX2, and with CONFORMANCE=all without AVX-512.

There other kernels are chosen at run time: AVX2's, and oneDNN's where graft has none. Run by `make conformance` with
GRAFT=path of the program; peers.sh installs the emulator. AVX2 is emulated slowly, so that it is not for every run.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import save_file

from _graft import GRAFT, graft, weights

# The emulator's name of a processor: the block of the kernel that may run there (None: none of graft's).
PROCESSORS = {"Nehalem": None} | ({"Haswell": "winograd"} if os.environ.get("CONFORMANCE") == "all" else {})
SIDE = 32


def emulated(processor, *arguments):
    """One thread, and the wait policy set, so that the program does not start itself anew outside of the emulator."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    run = subprocess.run(["qemu-x86_64", "-cpu", processor, GRAFT, *arguments], capture_output=True, text=True, env=environment)
    if run.returncode:
        raise RuntimeError(run.stderr.strip()[-300:])
    return run.stdout


def main():
    if os.uname().machine != "x86_64":
        print("skip: only x86-64 has several kernels")
        return 0
    if not shutil.which("qemu-x86_64"):
        print("FAIL qemu-x86_64 is missing: `apt-get install qemu-user`")
        return 1
    failures = 0
    with tempfile.TemporaryDirectory(prefix="graft-processors-") as folder:
        at = lambda name: os.path.join(folder, name)
        random = np.random.default_rng(4)
        save_file(weights("torchvision/resnet18", random), at("w.safetensors"))
        graft("convert", at("w.safetensors"), "--architecture", "torchvision/resnet18", "-o", at("m.safetensors"))
        np.save(at("x.npy"), random.standard_normal((1, 3, SIDE, SIDE), dtype=np.float32))
        run = ["run", at("m.safetensors"), "--input", at("x.npy"), "--output"]
        graft(*run, at("here.npy"))
        here = np.load(at("here.npy"))
        for processor, kernel in PROCESSORS.items():
            emulated(processor, *run, at("there.npy"))
            error = float(np.abs(np.load(at("there.npy")) - here).max() / np.abs(here).max())
            plan = json.loads(emulated(processor, "bench", at("m.safetensors"), "--size", str(SIDE), "--runs", "1", "--json"))["plan"]
            codes = {line["algorithm"] for line in plan}
            foreign = sorted(c for c in codes if "avx512" in c or (kernel is None and ("avx" in c or "winograd" in c)))
            chosen = kernel is None or any(c.startswith(kernel) for c in codes)
            good = error <= 1e-4 and not foreign and chosen
            failures += not good
            print("ok  " if good else "FAIL", f"{processor}: largest difference {error:.1e}, {len(codes)} kinds of code",
                  f"of another processor: {foreign}" if foreign else "" if chosen else f"no {kernel}: {sorted(codes)}")
    return 1 if failures else 0


sys.exit(main())
