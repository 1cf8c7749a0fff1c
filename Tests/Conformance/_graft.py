"""Runs the program under test, tells what was found, and makes weights for the networks that it knows."""
import json
import os
import subprocess
import sys
import time

import numpy as np

GRAFT = os.environ["GRAFT"]


class Report:
    """One line for each thing that was checked; the script ends with `finish`."""

    passed = failed = skipped = 0

    def __call__(self, good, label, detail=""):
        self.passed += bool(good)
        self.failed += not good
        print("ok  " if good else "FAIL", label, detail, flush=True)

    def within(self, label, error, tolerance):
        """Whether an error is small enough; one that is no number is not."""
        self(error <= tolerance, label, f"{float(error):.1e}, at most {tolerance:.0e}")

    def skip(self, label, reason):
        """What cannot be checked here, for a reason that is none of graft's."""
        self.skipped += 1
        print("skip", f"{label}: {reason}", flush=True)

    def finish(self):
        """Ends the program; where nothing was checked, nothing is right."""
        sys.exit(1 if self.failed or not self.passed + self.skipped else 0)


report = Report()


def attempt(*arguments):
    """The finished process, whether it did what it should or not."""
    return subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True)


def graft(*arguments):
    """What it answers; what it complains of is an error."""
    run = attempt(*arguments)
    if run.returncode:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {run.stderr.strip()[-600:]}")
    return run.stdout


def complaint(*arguments):
    """What it complains of; that it does not is an error."""
    run = attempt(*arguments)
    if not run.returncode:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: was not refused")
    return run.stderr


def watched(*arguments):
    """The finished process and the most memory, in MB, that it and its children had: their own (`anonymous`, all of them
    together, looked at every few milliseconds) and with the files that they map (`whole`, of the largest one, from the kernel)."""
    process = subprocess.Popen([GRAFT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peaks = {"anonymous": 0, "whole": 0}
    while process.poll() is None:
        anonymous = 0
        for pid in [process.pid, *_children(process.pid)]:
            try:
                with open(f"/proc/{pid}/status") as f:
                    fields = dict(line.split(":", 1) for line in f)
            except OSError:
                continue
            if "RssAnon" in fields:
                anonymous += int(fields["RssAnon"].split()[0])
                peaks["whole"] = max(peaks["whole"], int(fields["VmHWM"].split()[0]) / 1000)
        peaks["anonymous"] = max(peaks["anonymous"], anonymous / 1000)
        time.sleep(0.002)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err), peaks


def _children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += map(int, f.read().split())
    except OSError:
        pass  # It ended, or its threads did.
    return found


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
