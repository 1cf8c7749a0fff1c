"""Whole trainings against PyTorch (channels_last) and Keras: the same photos, equal features proven first, medians.

A linear head on frozen EfficientNet-Lite0 for EPOCHS epochs, the accuracy on held photos after each: the frameworks' own
way (the network runs in every epoch), features kept by hand, and graft. Then all of the network, by one process and by two.
Said are seconds, also to an accuracy that all reach, processor seconds and peak memory. Steps and feature extraction by
themselves, against the same peers and with equal gradients first, are in bench_inference.py.

$GRAFT is the program; $PHOTOS photos in folders by class, or such folders `train` and `validation` (those beside the project,
else drawn ones). What was measured is kept in --results, from which --render writes the page again without measuring."""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import _machine
import _training_table

HERE = Path(__file__).resolve().parent
GRAFT = os.environ.get("GRAFT", ".build/release/graft")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rounds", type=int, default=3, help="how often each row is measured, but for the frameworks' own way: once")
parser.add_argument("--count", type=int, default=240, help="photos to learn from")
parser.add_argument("--epochs", type=int, default=20, help="passes over them")
parser.add_argument("--results", type=Path, default=HERE.parent / ".bench/training.json", help="where figures are kept")
parser.add_argument("--write", type=Path, help="where the page goes, as docs/TRAINING_BENCHMARKS.md")
parser.add_argument("--render", action="store_true", help="measure nothing: write the page of what --results holds")
asked = parser.parse_args()
if asked.render:
    page = _training_table.render(json.loads(asked.results.read_text()))
    if asked.write:
        asked.write.write_text(page)
    else:
        print(page)
    sys.exit(0)
ROUNDS, COUNT, EPOCHS = asked.rounds, asked.count, asked.epochs
THREADS = len(os.sched_getaffinity(0))
BATCH, RATE = 16, 0.005  # of fine-tuning
folder = Path(tempfile.mkdtemp(prefix="graft-bench-"))
measured = {"command": "Scripts/bench_train.py " + " ".join(sys.argv[1:]), "tables": [], "checks": []}


def environment(threads, **more):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="tensorflow", OMP_WAIT_POLICY="passive",
                OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                OMPI_MCA_hwloc_base_binding_policy="none") | {n: str(threads) for n in names} | more


def children(pid):
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += children(int(child))
    return found


class Memory(threading.Thread):
    """The most that a process and those below it held, in MB, each at its own time, looked at four times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.held = pid, {}
        self.start()

    def run(self):
        while Path(f"/proc/{self.pid}").exists():
            try:
                for pid in children(self.pid):
                    line = next((l for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM")), None)
                    if line:
                        self.held[pid] = int(line.split()[1]) / 1024
            except OSError:
                pass  # one of them has just ended
            time.sleep(0.25)


def run(command, threads=THREADS, **more):
    """One process and those it starts: seconds, processor seconds, peak MB, its answer, and its epochs as graft tells them."""
    began, epochs, said = time.perf_counter(), [], []
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(threads, **more))
    memory = Memory(process.pid)

    def listen():
        for line in process.stderr:
            said.append(line)
            numbers = line.split()
            if re.match(r"\d+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+", line):
                epochs.append([time.perf_counter() - began, float(numbers[4])])

    ear = threading.Thread(target=listen)
    ear.start()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    ear.join()
    if status:
        raise RuntimeError(f"{Path(command[0]).name} {' '.join(map(str, command[1:4]))}: {''.join(said).strip()[-600:]}")
    return {"seconds": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime,
            "peak": max(usage.ru_maxrss / 1024, sum(memory.held.values())), "output": output, "curve": epochs}


def graft(*arguments, cache="cache", threads=THREADS, ranks=1):
    command = [GRAFT, *arguments]
    if ranks > 1:
        command = ["mpirun", "-n", ranks, *command, "--distributed"]
    return run(command, threads, GRAFT_CACHE=str(folder / cache))


def peer(engine, recipe, threads=THREADS, ranks=1, **more):
    path = folder / "settings.json"
    path.write_text(json.dumps(settings | {"threads": threads} | more))
    command = [sys.executable, HERE / "_bench_learner.py", engine, recipe, path]
    if ranks > 1:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", ranks, "--standalone", *command[1:]]
    found = run(command, threads)
    told = json.loads(next(l for l in found["output"].splitlines() if l.startswith("{")))
    # Its imports are not charged to a peer: they have a row of their own in bench_inference.py.
    found["seconds"] -= told["ready"]
    found["curve"] = [[t - told["ready"], a] for t, a in told.get("curve", [])]
    return found


def middle(runs, key):
    return statistics.median(r[key] for r in runs)


def until(runs, target):
    """Seconds to an accuracy, the median over the runs; nan where one never came to it."""
    return statistics.median(next((t for t, a in r["curve"] if a >= target), float("nan")) for r in runs)


def table(title, rows, base):
    """`rows`: name -> runs. The accuracy that all reach, at their best, is what time is taken to."""
    target = min(max(a for _, a in r["curve"]) for runs in rows.values() for r in runs)
    print(f"\n{title}; every row comes to {target:.3f} of the held photos right")
    measured["tables"].append({"title": title, "base": base, "target": target, "rows": [
        {"name": name, "seconds": middle(runs, "seconds"), "until": until(runs, target), "cpu": middle(runs, "cpu"),
         "peak_mb": max(r["peak"] for r in runs), "last": runs[-1]["curve"][-1][1], "runs": len(runs)} for name, runs in rows.items()]})
    print(f"{'':<46}{'seconds':>9}{'ratio':>8}{'to that':>9}{'CPU s':>8}{'peak MB':>9}{'last':>7}{'runs':>6}")
    for name, runs in rows.items():
        ratio = middle(runs, "seconds") / middle(rows[base], "seconds")
        print(f"{name:<46}{middle(runs, 'seconds'):>9.2f}{ratio:>7.2f}x{until(runs, target):>9.2f}{middle(runs, 'cpu'):>8.1f}"
              f"{max(r['peak'] for r in runs):>9.0f}{runs[-1]['curve'][-1][1]:>7.3f}{len(runs):>6}", flush=True)


def photos():
    """The sets to learn from and to judge by, as folders, and as lists for the peers."""
    beside = HERE.parent.parent / "shared/data/clothing"
    root = Path(os.environ["PHOTOS"]) if os.environ.get("PHOTOS") else beside if beside.is_dir() else folder / "drawn"
    if root == folder / "drawn":
        subprocess.run([GRAFT, "draw", root, "--classes", "6", "--count", str(COUNT // 4), "--size", "400"], check=True, capture_output=True)
    divided = (root / "train").is_dir()
    classes = sorted(p.name for p in (root / "train" if divided else root).iterdir() if p.is_dir())
    lists = {"training": [], "validation": []}
    for label, name in enumerate(classes):
        found = {"training": sorted((root / "train" / name).iterdir()), "validation": sorted((root / "validation" / name).iterdir())} if divided else {}
        if not divided:
            every = sorted((root / name).iterdir())
            found = {"training": [p for i, p in enumerate(every) if i % 3], "validation": every[::3]}
        for part, share in (("training", COUNT), ("validation", COUNT // 2)):
            place = folder / part / name
            place.mkdir(parents=True)
            for photo in found[part][: share // len(classes)]:
                shutil.copyfile(photo, place / photo.name)
                lists[part].append([str(place / photo.name), label])
    return classes, lists


if subprocess.run([GRAFT, "convert", "timm/tf_efficientnet_lite0", "-o", folder / "bb.safetensors"], capture_output=True).returncode:
    sys.exit("the weights of EfficientNet-Lite0 cannot be had: nothing is measured")
for form, extra, name in (("keras", ["--notop"], "f.keras"), ("safetensors", [], "w.safetensors")):
    graft("convert", folder / "bb.safetensors", "--to", form, *extra, "-o", folder / name)
classes, lists = photos()
settings = lists | {"network": "efficientnet-lite0", "backbone": str(folder / "w.safetensors"), "keras": str(folder / "f.keras"), "width": 1280,
                    "classes": len(classes), "epochs": EPOCHS, "seed": 0, "batch": BATCH, "rate": RATE, "output": ""}
print(_machine.line(GRAFT))
measured |= {"machine": _machine.machine(GRAFT), "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "load": os.getloadavg()[0],
             "setting": f"EfficientNet-Lite0 with its published weights, {len(lists['training'])} photos to learn from, {len(lists['validation'])} held, "
                        f"{len(classes)} classes, {THREADS} threads"}
print(f"{len(lists['training'])} photos to learn from, {len(lists['validation'])} held, {len(classes)} classes, {THREADS} threads, {ROUNDS} rounds")

# Equal features first: no time is printed where they differ.
graft("features", folder / "bb.safetensors", *[p for p, _ in lists["training"]], "-o", folder / "graft.npy")
ours = np.load(folder / "graft.npy")
for engine in ("PyTorch", "Keras"):
    peer(engine, "features", output=str(folder / f"{engine}.npy"))
    apart = np.abs(ours - np.load(folder / f"{engine}.npy")).max() / np.abs(ours).max()
    measured["checks"].append(f"features of graft and {engine} differ by {apart:.1e} of the largest")
    print(measured["checks"][-1])
    # Decoders round differently by one level here and there.
    if not apart <= 0.05:
        sys.exit("FAIL they are not the same: nothing is measured")

rows = {n: [] for n in ("graft, nothing kept yet", "graft, another seed: features are kept", "PyTorch, features kept by hand", "Keras, features kept by hand",
                        "PyTorch, its own way", "Keras, its own way")}
train = ["train", folder / "training", "--validation", folder / "validation", "--backbone", folder / "bb.safetensors", "--patience", 0, "--overwrite",
         "-o", folder / "run"]
for turn in range(ROUNDS):
    first, again, torch_kept, keras_kept, torch_own, keras_own = rows.values()
    first.append(graft(*train, "--epochs", EPOCHS, cache=f"cache{turn}"))
    torch_kept.append(peer("PyTorch", "kept", seed=turn))
    again.append(graft(*train, "--epochs", EPOCHS, "--seed", 1, cache=f"cache{turn}"))
    keras_kept.append(peer("Keras", "kept", seed=turn))
    if turn == 0:  # These take as long as all others together.
        torch_own.append(peer("PyTorch", "own"))
        keras_own.append(peer("Keras", "own"))
table(f"{EPOCHS} epochs of a linear head on the frozen network", rows, "graft, nothing kept yet")

# All of the network learns: what the same batch costs one process and two.
few = max(1, EPOCHS // 10)
tune = [*train, "--mode", "finetune", "--unfreeze", "all", "--epochs", few, "--batch", BATCH, "--learning-rate", RATE]
rows = {f"graft, {THREADS} threads": [], "graft, one thread": [], f"graft, {THREADS} processes of one thread": [], f"PyTorch, {THREADS} threads": [],
        f"PyTorch, {THREADS} processes of one thread (DDP)": []}
weights = []
for name, runs in rows.items():
    ours, ranks, threads = name.startswith("graft"), THREADS if "processes" in name else 1, 1 if "one thread" in name else THREADS
    runs.append(graft(*tune, threads=threads, ranks=ranks) if ours else peer("PyTorch", "finetune", threads=threads, ranks=ranks, epochs=few))
    if ours:
        from safetensors.numpy import load_file

        weights.append(load_file(folder / "run/model.safetensors"))
table(f"{few} epoch{'s' if few > 1 else ''} of the whole network, {BATCH} photos a step", rows, f"graft, {THREADS} threads")
length = lambda w: sum(float((v.astype("f8") ** 2).sum()) for v in w.values()) ** 0.5
apart = length({k: weights[1][k] - weights[2][k] for k in weights[1]}) / length(weights[1])
measured["checks"].append(f"weights after fine-tuning, of one process and of {THREADS}, are apart by {apart:.1e} of their length")
print(measured["checks"][-1])
shutil.rmtree(folder)
asked.results.parent.mkdir(parents=True, exist_ok=True)
asked.results.write_text(json.dumps(measured, indent=1))
if asked.write:
    asked.write.write_text(_training_table.render(measured))
