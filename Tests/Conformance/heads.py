"""The logistic head against scikit-learn's optimum, metrics against its definitions, event files
against TensorFlow's reader."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

GRAFT = os.environ["GRAFT"]
failures = 0
folder = Path(tempfile.mkdtemp(prefix="graft-heads-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")


def graft(*arguments):
    result = subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {result.stderr.strip()}")
    return result.stdout


def check(name, error, tolerance):
    global failures
    ok = bool(error <= tolerance)
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {error:.1e}, at most {tolerance:.0e}", flush=True)


from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

graft("draw", folder / "photos", "--classes", 5, "--count", 40, "--size", 48)
graft("train", folder / "photos", "--backbone", "graft/tiny", "--head", "logistic", "-o", folder / "run", "--seed", 3)
split = json.loads((folder / "run/split.json").read_text())
metrics = json.loads((folder / "run/metrics.json").read_text())
rows = (folder / "run/log.csv").read_text().splitlines()[1:]
penalty = float(rows[metrics["bestEpoch"] - 1].split(",")[-1])
names = metrics["classes"]


def features(paths):
    graft("features", "graft/tiny", *[folder / "photos" / p for p in paths], "-o", folder / "f.npy")
    return np.load(folder / "f.npy"), np.array([names.index(p.split("/")[0]) for p in paths])


x, y = features(split["training"])
v, truth = features(split["validation"])
scale2 = ((x.astype("float64") - x.mean(0, dtype="float64")) ** 2).mean()
peer = LogisticRegression(C=1 / (penalty * len(y)) / scale2, tol=1e-10, max_iter=20000).fit(x.astype("float64"), y)
head = load_file(folder / "run/model.safetensors")
theirs = peer.predict_proba(v)
logits = v @ head["head.weight"].T + head["head.bias"]
ours = np.exp(logits - logits.max(1, keepdims=True))
ours /= ours.sum(1, keepdims=True)
check("probabilities of the logistic head, scikit-learn", float(np.abs(ours - theirs).max()), 2e-3)
check("its accuracy", abs(metrics["accuracy"] - peer.score(v, truth)), 1e-9)
one = np.eye(len(names))[truth]
check("macro ROC-AUC", abs(metrics["scores"]["macroROCAUC"] - roc_auc_score(truth, ours, multi_class="ovr")), 1e-6)
check("mean average precision", abs(metrics["scores"]["meanAveragePrecision"] - average_precision_score(one, ours)), 1e-6)
check("macro F1", abs(metrics["macroF1"] - f1_score(truth, ours.argmax(1), average="macro")), 1e-9)
bins = np.clip(np.ceil(ours.max(1) * 15).astype(int) - 1, 0, 14)
right = ours.argmax(1) == truth
expected = sum(abs((ours.max(1) - right)[bins == b].sum()) for b in range(15)) / len(truth)
check("calibration error", abs(metrics["scores"]["calibrationError"] - expected), 1e-5)

import tensorflow as tf

events = list(tf.compat.v1.train.summary_iterator(str(next((folder / "run").glob("events.out.tfevents.*")))))
losses = [v.simple_value for e in events for v in e.summary.value if v.tag == "loss/training"]
logged = [float(row.split(",")[1]) for row in rows]
check("event file, read by TensorFlow", float(np.abs(np.array(losses) - logged).max()), 1e-6)
check("its epochs", abs(len(losses) - metrics["epochs"]), 0)
report = (folder / "run/report.html").read_text()
check("report.html fetches from", float(report.count("http")), 0)
sys.exit(1 if failures else 0)
