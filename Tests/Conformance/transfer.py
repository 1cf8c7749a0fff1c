"""What transfer learning promises (cases C, D and F of README.md).

C: what is frozen keeps its bytes, statistics of BatchNorm included, and answers the same after training. D: a head
learned on kept features is the one learned without any, and a changed photo, network or preparation finds nothing
kept. F: on scikit-learn's digits, a small network that learned 0 to 5 helps to tell 6 to 9 from a few photos: features
beat learning from nothing by a margin over five seeds, and fine-tuning does not lose to them. With CONFORMANCE=all
also on 50 photos a class."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from _graft import GRAFT
from _tiny import random_tiny

failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-transfer-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")
os.environ["HF_HOME"] = str(folder / "hf")  # gc must not reach the cache of whoever runs this


def check(name, ok, detail):
    global failures
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {detail}", flush=True)


def graft(*arguments):
    """What it says on stderr; stdout is read from the run folder."""
    run = subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {run.stderr.strip()[-600:]}")
    return run.stderr


# C
graft("draw", folder / "photos", "--classes", 3, "--count", 12, "--size", 40)
backbone = folder / "bb.safetensors"
before = random_tiny(32, backbone)
photos = sorted((folder / "photos").rglob("*.png"))


def train(run, *settings, model=backbone):
    return graft("train", folder / "photos", "--backbone", model, "-o", folder / run, "--overwrite", "--seed", 4, "--patience", 0, "--batch", 8, *settings)


def moved(run):
    """The names of the tensors of the backbone whose bytes differ."""
    after = load_file(folder / run / "model.safetensors")
    return {k for k, v in before.items() if not k.startswith("fc") and after[k].tobytes() != v.tobytes()}


def features(model, name):
    graft("features", model, *photos[:9], "-o", folder / name)
    return np.load(folder / name)


train("features", "--epochs", 4, "--lr", 0.05)
check("C  feature mode: no byte of the backbone moves", not moved("features"), moved("features") or f"{len(before) - 2} tensors")
same = np.array_equal(features(backbone, "a.npy"), features(folder / "features/model.safetensors", "b.npy"))
check("C     and its features after training are those before", same, "9 photos")
train("last", "--mode", "finetune", "--unfreeze", 1, "--epochs", 3, "--lr", 0.05)
check("C  the last stage learns: what is below, and every statistic, stays", bool(moved("last")) and moved("last") <= {"conv3.weight", "bn3.weight", "bn3.bias"}, sorted(moved("last")))
train("all", "--mode", "finetune", "--unfreeze", "all", "--epochs", 3, "--lr", 0.05)
names = moved("all")
check("C  all learns: every weight moves and no statistic does", names == {k for k in before if not k.startswith("fc") and "running" not in k}, sorted(names))

# D
def head(run):
    return {k: v for k, v in load_file(folder / run / "model.safetensors").items() if k not in before or k.startswith("fc")}


def apart(a, b):
    return max(float(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max()) for k in a)


settings = ["--epochs", 5, "--lr", 0.05, "--optimizer", "sgd"]
train("kept", *settings)
# The stages learn from the 1000th epoch on: until then the head alone, on what the network computes in every epoch.
for run, stages in (("computed", "all"), ("half", 1)):
    train(run, *settings, "--mode", "finetune", "--unfreeze", stages, "--gradual", 1000)
    check(f"D  the head on kept features is the one without them ({'none' if stages == 'all' else 'a part'} kept)", apart(head("kept"), head(run)) <= 1e-6, f"{apart(head('kept'), head(run)):.1e}")


def reused(*arguments, **model):
    return int(re.search(r"features of \d+ photos, (\d+) of them", train("again", "--epochs", 1, *arguments, **model))[1])


total = len(photos)
check("D  a second run finds all features", reused() == total, f"{total} photos")
picture = Image.open(photos[0])
picture.putpixel((0, 0), tuple(255 - v for v in picture.getpixel((0, 0))))
picture.save(photos[0])
check("D  a changed photo is computed anew", reused() == total - 1, "one pixel")
random_tiny(32, folder / "other.safetensors", seed=9)
check("D  another network finds nothing", reused(model=folder / "other.safetensors") == 0, "")
random_tiny(24, folder / "smaller.safetensors")
check("D  another preparation finds nothing", reused(model=folder / "smaller.safetensors") == 0, "24 pixels, not 32")
check("D  halves are kept apart", reused("--cache-dtype", "f16") == 0, "f16")
shutil.rmtree(folder / "cache/features")
train("anew", *settings)
check("D  a deleted cache changes nothing", reused() == total, "computed again, and kept")


# What `graft cache gc` evicts: by age and by size, what was used longest ago first, and nothing else.
def kept():
    return {p.name for p in (folder / "cache/features").iterdir()}


def aged(name, days):
    values = folder / "cache/features" / name / "values"
    os.utime(values, (time.time() - 86400 * days,) * 2)


shutil.rmtree(folder / "cache/features")
sets = []
for model in (backbone, folder / "other.safetensors", folder / "smaller.safetensors"):
    known = kept() if sets else set()
    reused(model=model)
    sets.append(*(kept() - known))
for name, days in zip(sets, (200, 3, 1)):
    aged(name, days)
subprocess.run([GRAFT, "cache", "gc", "--unused", "90d"], check=True, capture_output=True)
check("D  gc by age evicts the features that were not used for so long", kept() == set(sets[1:]), f"{len(kept())} of 3 stay")
size = sum(p.stat().st_size for p in (folder / "cache/features" / sets[2]).iterdir())
reused(model=folder / "other.safetensors")  # a use, which makes them the younger ones
subprocess.run([GRAFT, "cache", "gc", "--max-size", str(size + 6000)], check=True, capture_output=True)
check("D  gc by size evicts those used longest ago", kept() == {sets[1]}, f"{len(kept())} of 2 stay")
check("D     and the others are found again", reused(model=folder / "other.safetensors") == total and reused() == 0, "")

# F
from sklearn.datasets import load_digits

digits, random = load_digits(), np.random.default_rng(0)


def write(name, classes, chosen):
    for k in classes:
        place = folder / name / str(k)
        place.mkdir(parents=True)
        for index in chosen[k]:
            grey = Image.fromarray((digits.images[index] * 255 / 16).astype("uint8"))
            grey.resize((32, 32), Image.BICUBIC).convert("RGB").save(place / f"{index}.png")


order = {k: random.permutation(np.flatnonzero(digits.target == k)) for k in range(10)}
write("first", range(6), {k: v[:100] for k, v in order.items()})
write("test", range(6, 10), {k: v[-80:] for k, v in order.items()})
graft("train", folder / "first", "--backbone", "graft/tiny", "-o", folder / "learned", "--mode", "finetune", "--unfreeze", "all", "--optimizer", "adam",
      "--lr", 0.002, "--epochs", 12)
WAYS = {
    "features": (folder / "learned/model.safetensors", ["--head", "logistic"]),
    "fine-tuning": (folder / "learned/model.safetensors", ["--recipe", "auto", "--unfreeze", "all", "--optimizer", "adam", "--lr", 3e-4, "--epochs", 12]),
    "from nothing": ("graft/tiny", ["--mode", "finetune", "--unfreeze", "all", "--optimizer", "adam", "--lr", 0.002, "--epochs", 30]),
}
for size in (5, 10) + ((50,) if os.environ.get("CONFORMANCE") == "all" else ()):
    scores = {way: [] for way in WAYS}
    for seed in range(5):
        draw = np.random.default_rng(100 * size + seed)
        few = f"few-{size}-{seed}"
        write(few, range(6, 10), {k: draw.permutation(v[:-80])[:size] for k, v in order.items()})
        for way, (start, how) in WAYS.items():
            graft("train", folder / few, "--backbone", start, "-o", folder / "run", "--overwrite", "--seed", seed, "--patience", 0, *how)
            said = subprocess.run([GRAFT, "evaluate", str(folder / "run/model.safetensors"), str(folder / "test"), "--json"], capture_output=True, text=True, check=True)
            scores[way].append(json.loads(said.stdout)["accuracy"])
    # Student's t of five seeds: 2.78.
    told = {way: (np.mean(s), 2.78 * np.std(s, ddof=1) / 5 ** 0.5) for way, s in scores.items()}
    words = ", ".join(f"{way} {m:.3f} ± {c:.3f}" for way, (m, c) in told.items())
    gain = np.array(scores["features"]) - np.array(scores["from nothing"])
    check(f"F  {size} photos a class: features beat learning from nothing by 3 points", gain.mean() >= 0.03, words)
    check("F     and fine-tuning from them does not lose", told["fine-tuning"][0] >= told["features"][0] - 0.02, f"{told['fine-tuning'][0] - told['features'][0]:+.3f}")
shutil.rmtree(folder)
sys.exit(1 if failures else 0)
