"""Converting weights: graft against Python with the libraries that own the formats.

Run by `make bench`, or alone: GRAFT=path python Scripts/bench_convert.py [--size GB] [--repeats N] [--folder DIR].
Each case runs as whole processes, ours and theirs by turns on the same files, the page cache warm for both; the
figures are medians. Peak memory is the largest resident set, summed over a process and its child, mapped pages of
files included. `cp` of the same bytes says what the disk can do. Every result is checked before it counts.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import h5py
import numpy as np

import _machine

GRAFT = os.environ["GRAFT"]


def resident(pid):
    """Kilobytes that a process and its children hold: all, and those that are no page of a file."""
    total = anonymous = 0
    pids = [pid]
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            pids += map(int, f.read().split())
        for one in pids:
            with open(f"/proc/{one}/status") as f:
                fields = dict(line.split(":", 1) for line in f)
            total += int(fields.get("VmRSS", "0 kB").split()[0])
            anonymous += int(fields.get("RssAnon", "0 kB").split()[0])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total, anonymous


def measure(command):
    """Seconds and peak memory of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = [0, 0]

    def watch():
        while process.poll() is None:
            peaks[:] = map(max, peaks, resident(process.pid))
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait():
        raise SystemExit(f"failed: {' '.join(command)}")
    seconds = time.perf_counter() - start
    watcher.join()
    return seconds, peaks[0] / 1000, peaks[1] / 1000


VGG = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256), (512, 512), (512, 512),
       (512, 512), (512, 512), (512, 512)]


def make_vgg(path):
    """The 553 MB of VGG16 as Keras publishes them: contiguous float32, names in attributes."""
    random = np.random.default_rng(0)
    numbers = random.standard_normal(1 << 20, dtype="f4")
    shapes = {f"conv{i}": (3, 3, b, a) for i, (a, b) in enumerate(VGG)}
    shapes |= {"fc1": (25088, 4096), "fc2": (4096, 4096), "predictions": (4096, 1000)}
    with h5py.File(path, "w") as f:
        f.attrs["layer_names"] = np.array([n.encode() for n in shapes])
        for name, shape in shapes.items():
            group = f.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()])
            group.create_dataset(f"{name}/kernel:0", data=np.resize(numbers, shape))
            group.create_dataset(f"{name}/bias:0", data=np.resize(numbers, shape[-1]))


def make_shards(folder, gigabytes):
    """Shards of 1 GB of float32, as language and vision models of this size come."""
    import torch
    from safetensors.torch import save_file

    os.makedirs(folder)
    tensor = torch.randn(4096, 4096)
    count, index = max(1, round(gigabytes * 1e9 / tensor.nbytes)), {}
    per = 15
    files = (count + per - 1) // per
    for number in range(files):
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        names = [f"layer.{i}.weight" for i in range(number * per, min(count, (number + 1) * per))]
        save_file({n: tensor.clone() for n in names}, os.path.join(folder, name))
        index |= {n: name for n in names}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": count * tensor.nbytes}, "weight_map": index}, f)


H5 = """
import sys, h5py, numpy as np
from safetensors.numpy import save_file
out = {}
with h5py.File(sys.argv[1]) as f:
    for layer in f.attrs["layer_names"]:
        for name in f[layer].attrs["weight_names"]:
            out[layer.decode() + "/" + name.decode().split("/")[-1].split(":")[0]] = f[layer][name][()]
save_file(out, sys.argv[2])
"""
SAVE = """
import sys, torch
from safetensors.torch import load_file
torch.save(load_file(sys.argv[1]), sys.argv[2])
"""
PTH = """
import sys, torch
from safetensors.torch import save_file
save_file(torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap=True), sys.argv[2])
"""
HALF = """
import sys, json, os, torch
from safetensors import safe_open
from safetensors.torch import save_file
folder, out = sys.argv[1:]
index = json.load(open(os.path.join(folder, "model.safetensors.index.json")))
for shard in sorted(set(index["weight_map"].values())):
    with safe_open(os.path.join(folder, shard), "pt") as f:
        state = {n: f.get_tensor(n).half() for n in f.keys()}
    save_file(state, os.path.join(out, shard))
json.dump(index, open(os.path.join(out, "model.safetensors.index.json"), "w"))
"""


def same(a, b):
    """Whether two sets of safetensors files hold the same tensors, bit for bit."""
    run = subprocess.run([GRAFT, "diff", a, b], capture_output=True, text=True)
    return run.returncode == 0


def clear(*paths):
    """Removes files, empties folders, and waits for the disk."""
    for path in paths:
        if os.path.isdir(path) and os.path.basename(path) != "copy":
            for name in os.listdir(path):
                os.remove(os.path.join(path, name))
        elif os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.remove(path)
    os.sync()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=float, default=5, help="gigabytes of the sharded model")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", default=None, help="where the files go (twice the size is needed)")
    settings = parser.parse_args()
    print(_machine.line(GRAFT))
    root = tempfile.mkdtemp(prefix="graft-bench-", dir=settings.folder)
    at = lambda name: os.path.join(root, name)
    python = lambda code, *a: [sys.executable, "-c", code, *a]
    try:
        make_vgg(at("vgg16.h5"))
        subprocess.run(python(H5, at("vgg16.h5"), at("vgg16.safetensors")), check=True)
        subprocess.run(python(SAVE, at("vgg16.safetensors"), at("vgg16.pth")), check=True)
        make_shards(at("sharded"), settings.size)
        os.makedirs(at("half"))
        cases = [
            ("VGG16 .h5 -> safetensors", at("vgg16.h5"), [GRAFT, "convert", at("vgg16.h5"), "--to", "safetensors", "-o", at("ours.safetensors")],
             python(H5, at("vgg16.h5"), at("theirs.safetensors")), settings.repeats),
            ("VGG16 .pth -> safetensors", at("vgg16.pth"), [GRAFT, "convert", at("vgg16.pth"), "--to", "safetensors", "-o", at("ours.safetensors")],
             python(PTH, at("vgg16.pth"), at("theirs.safetensors")), settings.repeats),
            (f"{settings.size:g} GB in shards -> f16", at("sharded"), [GRAFT, "convert", at("sharded"), "--to", "safetensors", "--dtype", "f16", "--shard-size", "500MB", "-o", at("ours/model.safetensors")],
             python(HALF, at("sharded"), at("half")), max(2, settings.repeats // 2)),
        ]
        os.makedirs(at("ours"))
        print(f"{'':28}{'graft':>9}{'python':>9}{'ratio':>7}{'cp':>8}   peak memory MB (without files' pages)")
        for label, source, ours, theirs, repeats in cases:
            runs = {"ours": [], "theirs": [], "cp": []}
            for _ in range(repeats):
                # Each writes to a place that is empty, after the disk took what the one before it wrote.
                for who, command, targets in (("cp", ["cp", "-r", source, at("copy")], [at("copy")]),
                                              ("theirs", theirs, [at("theirs.safetensors"), at("half")]),
                                              ("ours", ours, [at("ours.safetensors"), at("ours")])):
                    clear(*targets)
                    runs[who].append(measure(command))
                clear(at("copy"))
            good = same(at("ours"), at("half")) if "shards" in label else same(at("ours.safetensors"), at("theirs.safetensors"))
            median = {k: statistics.median(r[0] for r in v) for k, v in runs.items()}
            peak = {k: (max(r[1] for r in runs[k]), max(r[2] for r in runs[k])) for k in ("ours", "theirs")}
            print(f"{label:28}{median['ours']:8.2f}s{median['theirs']:8.2f}s{median['theirs'] / median['ours']:6.1f}x{median['cp']:7.2f}s"
                  f"   graft {peak['ours'][0]:.0f} ({peak['ours'][1]:.0f}), python {peak['theirs'][0]:.0f} ({peak['theirs'][1]:.0f})"
                  f"   {'same numbers' if good else 'DIFFERENT NUMBERS'}", flush=True)
            if not good:
                sys.exit(1)
    finally:
        shutil.rmtree(root)


main()
