"""Temperature scaling against the same fit by scipy and by PyTorch: classes and labels; predictions and exports are calibrated;
a failed first stage of `--recipe auto` is told by the run's own folder; nearest photos show no numbers that nothing learned."""
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from _graft import complaint, graft, report

folder = Path(tempfile.mkdtemp(prefix="graft-calibration-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")


import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

# A fifth of the photos is in the wrong folder: nobody can be sure, and a head that learns long is.
graft("draw", folder / "photos", "--classes", 4, "--count", 50, "--size", 40)
classes = sorted(p.name for p in (folder / "photos").iterdir())
for k, name in enumerate(classes):
    for photo in sorted((folder / "photos" / name).iterdir())[:10]:
        photo.rename(folder / "photos" / classes[(k + 1) % 4] / f"wrong-{photo.name}")
settings = ["--epochs", 40, "--learning-rate", 0.05, "--patience", 0, "--seed", 5, "--fraction", 0.4]


def train(run, data, *more):
    graft("train", folder / data, "--backbone", "graft/tiny", "-o", folder / run, *settings, *more)
    return json.loads((folder / run / "metrics.json").read_text()), load_file(folder / run / "model.safetensors")


def features(paths):
    graft("features", "graft/tiny", *paths, "-o", folder / "f.npy")
    return np.load(folder / "f.npy").astype("float64")


def scores(weights, x):
    return x @ weights["head.weight"].T.astype("float64") + weights["head.bias"]


def fitted(loss):
    """The temperature of least loss by scipy, and by PyTorch's L-BFGS, as Guo et al.'s published code fits it."""
    ours = np.exp(minimize_scalar(lambda t: loss(torch.tensor(np.exp(t), dtype=torch.float64)).item(), bounds=(-5, 5), method="bounded",
                                  options={"xatol": 1e-12}).x)
    log = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log], lr=1, max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(log.exp())
        value.backward()
        return value

    optimizer.step(closure)
    return ours, log.exp().item()


def error(shares, truth):
    """The expected calibration error, 15 bins."""
    sure, right = shares.max(1), shares.argmax(1) == truth
    bins = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
    return sum(abs((sure - right)[bins == b].sum()) for b in range(15)) / len(truth)


def compare(name, plain, weights, calibrated, scaled, loss):
    told = calibrated["temperature"]
    for peer, temperature in zip(("scipy", "PyTorch"), fitted(loss)):
        report.within(f"{name}: temperature {told['value']:.4f} and {peer}'s", abs(told["value"] / temperature - 1), 1e-4)
    report.within("   loss before", abs(told["lossBefore"] - loss(torch.tensor(1.0, dtype=torch.float64)).item()), 1e-4)
    report.within("   loss after", abs(told["lossAfter"] - loss(torch.tensor(told["value"], dtype=torch.float64)).item()), 1e-4)
    report.within("   the head is the plain one over it", float(max(np.abs(scaled[k] * told["value"] - weights[k]).max() for k in ("head.weight", "head.bias"))), 1e-5)
    report.within("   and nothing else is another", float(any((scaled[k] != weights[k]).any() for k in weights if not k.startswith("head."))), 0)
    report.within("   the plain run tells of none", float("temperature" in plain), 0)


plain, weights = train("plain", "photos")
calibrated, scaled = train("calibrated", "photos", "--calibrate")
paths = json.loads((folder / "plain/split.json").read_text())["validation"]
truth = np.array([classes.index(p.split("/")[0]) for p in paths])
paths = [folder / "photos" / p for p in paths]
x = features(paths)
z = torch.tensor(scores(weights, x))
compare("classes", plain, weights, calibrated, scaled, lambda t: F.cross_entropy(z / t, torch.tensor(truth)))
told = calibrated["temperature"]
before, after = torch.softmax(z, 1).numpy(), torch.softmax(z / told["value"], 1).numpy()
report.within(f"   calibration error before, {told['calibrationErrorBefore']:.3f}", abs(told["calibrationErrorBefore"] - error(before, truth)), 1e-4)
report.within(f"   and after, {told['calibrationErrorAfter']:.3f}", abs(told["calibrationErrorAfter"] - error(after, truth)), 1e-4)
report.within("   it is smaller after", float(told["calibrationErrorAfter"] >= told["calibrationErrorBefore"]), 0)
report.within("   no answer is another", abs(calibrated["accuracy"] - plain["accuracy"]), 0)


def predicted(run, names):
    photos = json.loads(graft("predict", folder / run / "model.safetensors", *paths, "--top", 99, "--json"))["photos"]
    return np.array([[next(p["probability"] for p in a["predictions"] if p["label"] == n) for n in names] for a in photos])


report.within("   predict answers calibrated shares", float(np.abs(predicted("calibrated", classes) - after).max()), 1e-4)
evaluated = json.loads(graft("evaluate", folder / "calibrated/model.safetensors", folder / "photos", "--split", folder / "calibrated/split.json", "--json"))
report.within("   evaluate finds the same error", abs(evaluated["scores"]["calibrationError"] - told["calibrationErrorAfter"]), 1e-4)
graft("convert", folder / "calibrated/model.safetensors", "--to", "npz", "-o", folder / "exported.npz")
exported = np.load(folder / "exported.npz")
report.within("   an export carries it", float(np.abs(exported["head.weight"] - scaled["head.weight"]).max()), 0)
page = (folder / "calibrated/report.html").read_text()
report.within("   the report tells it", float("temperature of the head" not in page or "calibration error before it" not in page), 0)

# Labels, each by itself.
rng = np.random.default_rng(2)
every = sorted(p.relative_to(folder) for p in (folder / "photos").rglob("*") if p.is_file())
lines = {str(p): "|".join([p.parent.name] + (["extra"] if rng.random() < 0.4 else [])) for p in every}
(folder / "labels.csv").write_text("path,labels\n" + "".join(f"{p},{l}\n" for p, l in lines.items()))
plain, weights = train("labels", "labels.csv")
calibrated, scaled = train("labels-calibrated", "labels.csv", "--calibrate")
split = json.loads((folder / "labels/split.json").read_text())["validation"]
names = plain["classes"]
target = torch.tensor([[float(n in lines[p].split("|")) for n in names] for p in split], dtype=torch.float64)
paths = [folder / p for p in split]
z = torch.tensor(scores(weights, features(paths)))
compare("labels", plain, weights, calibrated, scaled, lambda t: F.binary_cross_entropy_with_logits(z / t, target))
report.within("   predict answers calibrated shares", float(np.abs(predicted("labels-calibrated", names) - torch.sigmoid(z / calibrated["temperature"]["value"]).numpy()).max()), 1e-4)
same = [abs(a["f1"] - b["f1"]) for a, b in zip(plain["labels"]["labels"], calibrated["labels"]["labels"])]
report.within("   thresholds go along", float(max(same)), 1e-9)

# Where it cannot be, that is said.
text = complaint("train", folder / "photos", "--backbone", "graft/tiny", "-o", folder / "none", "--calibrate", "--head", "knn")
report.within("the nearest photos: refused by name", float("--calibrate" not in text), 0)
(folder / "numbers.csv").write_text("path,value\n" + "".join(f"{p},{k % 7}\n" for k, p in enumerate(lines)))
numbers = ["train", folder / "numbers.csv", "--backbone", "graft/tiny", "--task", "regression", "--epochs", 1, "-o", folder / "none"]
report("calibrat" in (text := complaint(*numbers, "--calibrate")) and "regression" in text, "numbers: refused by name", text.strip()[:120])
graft(*numbers)  # Nothing else is wrong with it.

# Nearest photos: what nothing learned has no number.
graft("train", folder / "photos", "--backbone", "graft/tiny", "--head", "knn", "-o", folder / "knn")
rows = [line.split(",") for line in (folder / "knn/log.csv").read_text().splitlines()[1:]]
report.within("nearest photos: no training numbers in the log", float(any(r[1] or r[2] for r in rows) or not rows), 0)
report.within("   and none in the report", float(">training</text>" in (folder / "knn/report.html").read_text()), 0)

# The first stage of `--recipe auto` cannot learn from features that are no numbers: the run itself says so.
broken = load_file(folder / "plain/model.safetensors")
graft("convert", "graft/tiny", "-o", folder / "tiny.safetensors")
from safetensors import safe_open
from safetensors.numpy import save_file

with safe_open(folder / "tiny.safetensors", "np") as file:
    notes, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}
tensors["conv4.weight"][...] = 3e38  # Sums of it are infinite.
save_file(tensors, folder / "broken.safetensors", notes)
text = complaint("train", folder / "photos", "--backbone", folder / "broken.safetensors", "--recipe", "auto", "-o", folder / "auto")
failure = json.loads((folder / "auto/metrics.json").read_text()).get("failure", {})
report.within("a failed first stage: the run's metrics.json says which", float(not failure.get("message", "").startswith("stage `head`: ")), 0)
report.within("   and its report why", float("This run failed" not in (folder / "auto/report.html").read_text()), 0)
shutil.rmtree(folder)
report.finish()
