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
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from _graft import GRAFT, attempt, complaint, report
from _tiny import random_tiny

folder = Path(tempfile.mkdtemp(prefix="graft-transfer-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")
os.environ["HF_HOME"] = str(folder / "hf")  # gc must not reach the cache of whoever runs this


def graft(*arguments):
    """What it says on stderr; stdout is read from the run folder."""
    run = attempt(*arguments)
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
report(not moved("features"), "C  feature mode: no byte of the backbone moves", moved("features") or f"{len(before) - 2} tensors")
same = np.array_equal(features(backbone, "a.npy"), features(folder / "features/model.safetensors", "b.npy"))
report(same, "C     and its features after training are those before", "9 photos")
train("last", "--mode", "finetune", "--unfreeze", 1, "--epochs", 3, "--lr", 0.05)
report(bool(moved("last")) and moved("last") <= {"conv3.weight", "bn3.weight", "bn3.bias"}, "C  the last stage learns: what is below, and every statistic, stays", sorted(moved("last")))
train("all", "--mode", "finetune", "--unfreeze", "all", "--epochs", 3, "--lr", 0.05)
names = moved("all")
report(names == {k for k in before if not k.startswith("fc") and "running" not in k}, "C  all learns: every weight moves and no statistic does", sorted(names))

# What ReLU would hide from the loss is refused, whichever of both is asked for.
with safe_open(backbone, "np") as file:
    notes, broken = file.metadata(), {k: file.get_tensor(k).copy() for k in file.keys()}
broken["conv1.weight"].flat[3] = np.nan
broken["bn2.running_var"][1:3] = np.inf
save_file(broken, folder / "broken.safetensors", notes)
for settings in ([], ["--mode", "finetune", "--unfreeze", "all"], ["--recipe", "auto"], ["--head", "knn"]):
    said = complaint("train", folder / "photos", "--backbone", folder / "broken.safetensors", "-o", folder / "broken", *settings)
    named = all(word in said for word in (f"1 of {broken['conv1.weight'].size} values", "`conv1.weight`", "broken.safetensors`", "1 more", "hint:"))
    report(named and not (folder / "broken").exists(), f"C  weights that are no numbers: refused, {' '.join(settings) or 'as it is'}", said.strip()[:160])

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
    report(apart(head("kept"), head(run)) <= 1e-6, f"D  the head on kept features is the one without them ({'none' if stages == 'all' else 'a part'} kept)", f"{apart(head('kept'), head(run)):.1e}")


def reused(*arguments, **model):
    return int(re.search(r"features of \d+ photos, (\d+) of them", train("again", "--epochs", 1, *arguments, **model))[1])


total = len(photos)
report(reused() == total, "D  a second run finds all features", f"{total} photos")
picture = Image.open(photos[0])
picture.putpixel((0, 0), tuple(255 - v for v in picture.getpixel((0, 0))))
picture.save(photos[0])
report(reused() == total - 1, "D  a changed photo is computed anew", "one pixel")
random_tiny(32, folder / "other.safetensors", seed=9)
report(reused(model=folder / "other.safetensors") == 0, "D  another network finds nothing")
random_tiny(24, folder / "smaller.safetensors")
report(reused(model=folder / "smaller.safetensors") == 0, "D  another preparation finds nothing", "24 pixels, not 32")
report(reused("--cache-dtype", "f16") == 0, "D  halves are kept apart", "f16")
shutil.rmtree(folder / "cache/features")
train("anew", *settings)
report(reused() == total, "D  a deleted cache changes nothing", "computed again, and kept")


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
report(kept() == set(sets[1:]), "D  gc by age evicts the features that were not used for so long", f"{len(kept())} of 3 stay")
size = sum(p.stat().st_size for p in (folder / "cache/features" / sets[2]).iterdir())
reused(model=folder / "other.safetensors")  # a use, which makes them the younger ones
subprocess.run([GRAFT, "cache", "gc", "--max-size", str(size + 6000)], check=True, capture_output=True)
report(kept() == {sets[1]}, "D  gc by size evicts those used longest ago", f"{len(kept())} of 2 stay")
report(reused(model=folder / "other.safetensors") == total and reused() == 0, "D     and the others are found again")

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
    report(gain.mean() >= 0.03, f"F  {size} photos a class: features beat learning from nothing by 3 points", words)
    report(told["fine-tuning"][0] >= told["features"][0] - 0.02, "F     and fine-tuning from them does not lose", f"{told['fine-tuning'][0] - told['features'][0]:+.3f}")
shutil.rmtree(folder)
report.finish()
