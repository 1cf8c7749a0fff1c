"""Runs the program under test, and makes weights for the networks that it knows."""
import json
import os
import subprocess

import numpy as np

GRAFT = os.environ["GRAFT"]


def attempt(*arguments):
    """The finished process, whether it did what it should or not."""
    return subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True)


def graft(*arguments):
    """What it answers; what it complains of is an error."""
    run = attempt(*arguments)
    if run.returncode:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {run.stderr.strip()[-600:]}")
    return run.stdout


def weights(name, random):
    """Seeded weights under the names and logical shapes that `graft summary` states."""
    summary = json.loads(graft("summary", name, "--json"))
    tensors = {}
    for weight in summary["weights"]:
        shape = weight["shape"]
        last = weight["name"].replace("/", ".").split(".")[-1]
        if last in ("running_var", "moving_variance"):
            value = random.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            # A small head: a saturated softmax would hide every difference.
            value = random.normal(0, np.sqrt((2 if len(shape) == 4 else 0.1) / np.prod(shape[1:])), shape)
        else:
            value = random.normal(0.5 if last in ("weight", "gamma") else 0, 0.1, shape)
        tensors[weight["name"]] = value.astype("f4")
    return tensors
