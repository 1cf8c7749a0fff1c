"""On a kernel without Landlock and seccomp, graft says so: in `graft doctor`, and once when a file is first parsed.

Such a kernel is made of this one: a seccomp filter, set before graft starts, answers both as a kernel does that lacks them.
Run by `make conformance` with GRAFT=path of the program.
"""
import ctypes
import json
import os
import platform
import struct
import subprocess
import tempfile

import h5py
import numpy as np

from _graft import GRAFT, report

ABSENT = 38  # ENOSYS
NUMBERS = {"x86_64": 317, "aarch64": 277}
SECCOMP, LANDLOCK = NUMBERS.get(platform.machine()), range(444, 447)
prctl = ctypes.CDLL(None, use_errno=True).prctl


def without(numbers):
    """What a child does before it becomes graft: from now on these system calls do not exist."""
    filters = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # The number of the call.
    for number in numbers:
        filters += [struct.pack("HBBI", 0x15, 0, 1, number), struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | ABSENT)]
    filters.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(filters))
    program = struct.pack("HxxxxxxQ", len(filters), ctypes.addressof(code))

    def enter():
        prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if prctl(22, 2, program, 0, 0):  # PR_SET_SECCOMP, a filter
            os._exit(99)

    enter.code = code
    return enter


def run(numbers, *arguments):
    return subprocess.run([GRAFT, *arguments], capture_output=True, text=True, preexec_fn=without(numbers) if numbers else None)


with tempfile.TemporaryDirectory() as folder:
    if SECCOMP is None or run([], "doctor", "--offline", "--json").stdout.find("seccomp there") < 0:
        report.skip("a kernel without confinement", "this one has none to take away")
        report.finish()
    paths = [os.path.join(folder, name) for name in ("a.h5", "b.h5")]
    for path in paths:
        with h5py.File(path, "w") as f:
            f.create_dataset("x", data=np.arange(6, dtype="f4"), chunks=(3,), compression="gzip")
    for label, numbers, doctor, words in [
        ("both", [], "seccomp there", None),
        ("Landlock alone", [SECCOMP], "seccomp missing", "other ways than TCP"),
        ("seccomp alone", LANDLOCK, "Landlock missing, seccomp there", None),
        ("neither", [SECCOMP, *LANDLOCK], "Landlock missing, seccomp missing", "neither Landlock nor seccomp"),
    ]:
        check = next(c for c in json.loads(run(numbers, "doctor", "--offline", "--json").stdout)["checks"] if c["name"] == "sandbox")
        good = doctor in check["found"] and (check["state"] == "note") == (words is not None)
        if words and label == "Landlock alone" and "Landlock missing" in check["found"]:
            report.skip("Landlock alone", "this kernel has no Landlock")
            continue
        report(good, f"doctor, {label}", check["found"])
        answer = run(numbers, "diff", *paths)  # Two files: two parsers, one warning.
        warnings = [line for line in answer.stderr.splitlines() if line.startswith("warning:")]
        good = answer.returncode == 0 and len(warnings) == (words is not None) and all(words in w for w in warnings)
        report(good, f"two files parsed, {label}", (warnings or ["no warning"])[0][:150])
report.finish()
