"""The logistic head and the nearest photos against scikit-learn, metrics of classes, labels and numbers
against its definitions, event files against the readers of TensorFlow and TensorBoard."""
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from _graft import graft, report

folder = Path(tempfile.mkdtemp(prefix="graft-heads-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")


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
report.within("probabilities of the logistic head, scikit-learn", float(np.abs(ours - theirs).max()), 2e-3)
report.within("its accuracy", abs(metrics["accuracy"] - peer.score(v, truth)), 1e-9)
one = np.eye(len(names))[truth]
report.within("macro ROC-AUC", abs(metrics["scores"]["macroROCAUC"] - roc_auc_score(truth, ours, multi_class="ovr")), 1e-6)
report.within("mean average precision", abs(metrics["scores"]["meanAveragePrecision"] - average_precision_score(one, ours)), 1e-6)
report.within("macro F1", abs(metrics["macroF1"] - f1_score(truth, ours.argmax(1), average="macro")), 1e-9)
bins = np.clip(np.ceil(ours.max(1) * 15).astype(int) - 1, 0, 14)
right = ours.argmax(1) == truth
expected = sum(abs((ours.max(1) - right)[bins == b].sum()) for b in range(15)) / len(truth)
report.within("calibration error", abs(metrics["scores"]["calibrationError"] - expected), 1e-5)

import tensorflow as tf

events = list(tf.compat.v1.train.summary_iterator(str(next((folder / "run").glob("events.out.tfevents.*")))))
losses = [v.simple_value for e in events for v in e.summary.value if v.tag == "loss/training"]
logged = [float(row.split(",")[1]) for row in rows]
report.within("event file, read by TensorFlow", float(np.abs(np.array(losses) - logged).max()), 1e-6)
report.within("its epochs", abs(len(losses) - metrics["epochs"]), 0)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

board = EventAccumulator(str(folder / "run"))
board.Reload()
report.within("   and by TensorBoard", abs(len(board.Scalars("accuracy/validation")) - metrics["epochs"]), 0)
page = (folder / "run/report.html").read_text()
report.within("report.html fetches from", float(page.count("http")), 0)
# Neighbours, labels and numbers.
from sklearn.metrics import f1_score as f1
from sklearn.metrics import hamming_loss, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.neighbors import KNeighborsClassifier

graft("train", folder / "photos", "--backbone", "graft/tiny", "--head", "knn", "-o", folder / "knn", "--seed", 3)
knn = json.loads((folder / "knn/metrics.json").read_text())
task = json.loads(safe_open(folder / "knn/model.safetensors", "np").metadata()["graft.task"])
peer = KNeighborsClassifier(task["neighbours"], metric="cosine", weights="distance").fit(x.astype("float64"), y)
held = [str(folder / "photos" / p) for p in split["validation"]]
answers = json.loads(graft("predict", folder / "knn/model.safetensors", *held, "--top", len(names), "--json"))["photos"]
shares = np.array([[next(p["probability"] for p in a["predictions"] if p["index"] == k) for k in range(len(names))] for a in answers])
report.within("probabilities of the nearest photos, scikit-learn", float(np.abs(shares - peer.predict_proba(v.astype("float64"))).max()), 5e-3)
report.within("   and their accuracy", abs(knn["accuracy"] - peer.score(v.astype("float64"), truth)), 1e-9)

rng = np.random.default_rng(1)
rows = ["path,labels"] + [f"photos/{p},{p.split('/')[0]}{'|extra' if rng.random() < 0.4 else ''}" for p in sorted(split["training"] + split["validation"])]
(folder / "labels.csv").write_text("\n".join(rows) + "\n")
(folder / "numbers.csv").write_text("\n".join(["path,value,width"] + [f"photos/{p},{names.index(p.split('/')[0]) * 3 + 50},{len(p)}" for p in sorted(split["training"] + split["validation"])]) + "\n")


def told(run, table, *settings):
    """graft's own metrics of the run, its answers for the validation photos, and the truth."""
    graft("train", folder / table, "--backbone", "graft/tiny", "-o", folder / run, "--epochs", 6, "--learning-rate", 0.02, *settings)
    split = json.loads((folder / run / "split.json").read_text())["validation"]
    top = ["--top", 99] if run == "labels" else []
    photos = json.loads(graft("predict", folder / run / "model.safetensors", *[folder / p for p in split], *top, "--json"))["photos"]
    table = dict(line.split(",", 1) for line in (folder / table).read_text().splitlines()[1:])
    return json.loads((folder / run / "metrics.json").read_text()), photos, [table[p] for p in split]


metrics, photos, truth = told("labels", "labels.csv")
names = metrics["classes"]
target = np.array([[name in t.split("|") for name in names] for t in truth]).astype(int)
score = np.array([[next(p["probability"] for p in a["predictions"] if p["label"] == name) for name in names] for a in photos])
holds = np.array([[next(p["holds"] for p in a["predictions"] if p["label"] == name) for name in names] for a in photos]).astype(int)
ours = metrics["labels"]
report.within("labels: mean average precision", abs(ours["meanAveragePrecision"] - average_precision_score(target, score, average="macro")), 1e-6)
report.within("labels: macro ROC-AUC", abs(ours["macroROCAUC"] - roc_auc_score(target, score, average="macro")), 1e-6)
report.within("labels: macro F1", abs(ours["macroF1"] - f1(target, holds, average="macro", zero_division=0)), 1e-9)
report.within("labels: micro F1", abs(ours["microF1"] - f1(target, holds, average="micro")), 1e-9)
report.within("labels: every label right", abs(ours["subsetAccuracy"] - (target == holds).all(1).mean()), 1e-9)
report.within("labels: share of wrong ones", abs(ours["hammingLoss"] - hamming_loss(target, holds)), 1e-9)
best = [max(f1(target[:, k], score[:, k] >= t, zero_division=0) for t in np.unique(score[:, k])) for k in range(len(names))]
report.within("labels: thresholds are the best there are", float(max(b - l["f1"] for b, l in zip(best, ours["labels"]))), 1e-9)

metrics, photos, truth = told("numbers", "numbers.csv", "--task", "regression", "--columns", "value,width")
target = np.array([[float(n) for n in t.split(",")] for t in truth])
answer = np.array([[p["value"] for p in a["values"]] for a in photos])
for k, value in enumerate(metrics["values"]["values"]):
    report.within(f"numbers, {value['name']}: mean error", abs(value["meanAbsoluteError"] - mean_absolute_error(target[:, k], answer[:, k])), 1e-4)
    report.within("   root mean square", abs(value["rootMeanSquaredError"] - root_mean_squared_error(target[:, k], answer[:, k])), 1e-4)
    if np.ptp(target[:, k]) > 0:
        report.within("   R²", abs(value["r2"] - r2_score(target[:, k], answer[:, k])), 1e-4)
report.finish()
