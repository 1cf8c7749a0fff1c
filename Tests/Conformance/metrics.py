"""Every metric that graft reports against scikit-learn's, on random, tied and degenerate cases (case I of README.md).

`graft scores` measures the cases; scikit-learn measures the same numbers in double precision. Where a definition
leaves a choice, graft's is: ties of a top-k go to the lower index; what one kind of photos alone cannot define (an
area under the ROC curve, R² of a constant) is null, never 0.5 or 1; calibration is over 15 bins, each with its upper
edge. 400 cases, or 4,000 with CONFORMANCE=all.
"""
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics as peer

from _graft import graft

warnings.filterwarnings("ignore")
folder = Path(tempfile.mkdtemp(prefix="graft-metrics-"))
random = np.random.default_rng(int(os.environ.get("SEED", "8")))
SCALE = 10 if os.environ.get("CONFORMANCE") == "all" else 1
failures = 0
worst = {}


def note(name, ours, theirs, tolerance=1e-9):
    """Keeps the largest difference under a name; None means undefined, and both must say so."""
    if ours is None or theirs is None:
        error = 0.0 if ours is theirs else float("inf")
    else:
        error = float(np.max(np.abs(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)), initial=0.0))
    count, before, _ = worst.get(name, (0, 0.0, tolerance))
    worst[name] = (count + 1, error if not error <= before else before, tolerance)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype("f4")


def scores(kind, photos, classes):
    """Shares of classes: continuous, with many ties, sure of themselves, all alike, and within rounding of each other."""
    logits = random.normal(0, 2, (photos, classes))
    if kind == "ties":
        whole = random.integers(0, 3, (photos, classes)) + 1
        return (whole / whole.sum(1, keepdims=True)).astype("f4")
    if kind == "sure":
        return np.eye(classes, dtype="f4")[random.integers(0, classes, photos)]
    if kind == "alike":
        return np.full((photos, classes), 1 / classes, "f4")
    if kind == "close":
        return softmax(1e-6 * logits)
    return softmax(logits)


def classes_of(kind, photos, classes):
    """The truth: of all classes, without some of them, or of one alone."""
    some = {"all": classes, "absent": max(1, classes - 2), "one": 1}[kind]
    return random.permutation(classes)[:some][random.integers(0, some, photos)]


def measure(found, truth, *settings):
    np.save(folder / "p.npy", np.stack(found).astype("f4"))
    np.save(folder / "y.npy", np.stack(truth).astype("f4"))
    return json.loads(graft("scores", "--probabilities", folder / "p.npy", "--truth", folder / "y.npy", *settings))["cases"]


def area(truth, score):
    return peer.roc_auc_score(truth, score) if 0 < truth.sum() < len(truth) else None


def precision(truth, score):
    return peer.average_precision_score(truth, score) if truth.sum() else None


def mean(values):
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def classification(photos, classes, count):
    found, truth = [], []
    for case in range(count):
        kinds = ("random", "ties", "random", "sure", "close", "alike")
        found.append(scores(kinds[case % 6], photos, classes))
        truth.append(classes_of(("all", "absent", "one")[case % 3 if case % 4 else 0], photos, classes))
    for ours, p, y in zip(measure(found, truth), found, truth):
        said = p.argmax(1)
        every = np.arange(classes)
        note("accuracy", ours["accuracy"], peer.accuracy_score(y, said))
        order = np.argsort(-p, axis=1, kind="stable")  # ties: the lower index first
        rank = (order == y[:, None]).argmax(1)
        note("top-k, every k, ties by index", ours["top"], [(rank < k).mean() for k in range(1, classes + 1)])
        if len(np.unique(p)) == p.size:
            for k in range(1, classes):
                if classes > 2:
                    note("top-k without ties", ours["top"][k - 1], peer.top_k_accuracy_score(y, p, k=k, labels=every))
        note("confusion matrix", ours["confusion"], peer.confusion_matrix(y, said, labels=every))
        per = peer.precision_recall_fscore_support(y, said, labels=every, zero_division=0)
        for name, theirs in zip(("precision", "recall", "f1", "support"), per):
            note(f"{name} by class", [c[name] for c in ours["perClass"]], theirs)
        for way in ("macro", "micro", "weighted"):
            theirs = peer.precision_recall_fscore_support(y, said, average=way, zero_division=0)
            note(f"precision, recall, F1: {way}", [ours["averages"][way][n] for n in ("precision", "recall", "f1")], theirs[:3])
        own = ours["scores"]
        areas = [area(y == k, p[:, k]) for k in every]
        averages = [precision(y == k, p[:, k]) for k in every]
        for k in every:
            note("ROC-AUC by class, null without two kinds", own["rocAUC"][k], areas[k])
            note("average precision by class, null without a photo", own["averagePrecision"][k], averages[k])
        note("ROC-AUC, mean of those defined", own.get("macroROCAUC"), mean(areas))
        if None not in areas and classes > 2:
            note("ROC-AUC, one against the rest, macro", own["macroROCAUC"], peer.roc_auc_score(y, p.astype("f8"), multi_class="ovr", labels=every))
        note("average precision, mean of those defined", own.get("meanAveragePrecision"), mean(averages))
        shares = p.astype("f8")
        note("log loss", own["logLoss"], peer.log_loss(y, shares, labels=every), 1e-6)
        note("Brier score", own["brierScore"], peer.brier_score_loss(y, shares, labels=every, scale_by_half=False), 1e-6)
        sure = shares.max(1)
        bins = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
        gaps = [abs(((said == y)[bins == b] - sure[bins == b]).sum()) for b in range(15)]
        note("calibration error, 15 bins", own["calibrationError"], sum(gaps) / photos, 1e-6)


def labels(photos, width, count):
    found, truth = [], []
    for case in range(count):
        p = 1 / (1 + np.exp(-random.normal(0, 2, (photos, width))))
        if case % 3 == 1:
            p = np.round(p, 1)
        if case % 7 == 3:  # neighbouring numbers, between which there is no threshold
            p = np.nextafter(np.full((photos, width), 0.5, "f4"), random.choice([0, 1], (photos, width)).astype("f4"))
        y = (random.random((photos, width)) < random.choice([0.1, 0.5, 0.9])).astype("f4")
        y[:, case % width] = case % 2  # one label always holds, or never
        found.append(p.astype("f4"))
        truth.append(y)
    chosen, limits = measure(found, truth), random.uniform(0.2, 0.8, width).astype("f4")
    np.save(folder / "t.npy", limits)
    for best, ours, p, y in zip(chosen, measure(found, truth, "--thresholds", folder / "t.npy"), found, truth):
        best, ours = best["labels"], ours["labels"]
        for told, says in ((best, p >= np.array([l["threshold"] for l in best["labels"]], "f4")), (ours, p >= limits)):
            per = peer.precision_recall_fscore_support(y, says, average=None, zero_division=0)
            for name, theirs in zip(("precision", "recall", "f1", "support"), per):
                note(f"labels: {name} by label", [l[name] for l in told["labels"]], theirs)
            note("labels: macro F1", told["macroF1"], peer.f1_score(y, says, average="macro", zero_division=0))
            note("labels: micro F1", told["microF1"], peer.f1_score(y, says, average="micro", zero_division=0))
            note("labels: every one right", told["subsetAccuracy"], peer.accuracy_score(y, says))
            note("labels: share of wrong ones", told["hammingLoss"], peer.hamming_loss(y, says))
        areas = [area(y[:, k], p[:, k]) for k in range(width)]
        averages = [precision(y[:, k], p[:, k]) for k in range(width)]
        for k, label in enumerate(best["labels"]):
            note("labels: ROC-AUC, null without two kinds", label.get("rocAUC"), areas[k])
            note("labels: average precision, null without a photo", label.get("averagePrecision"), averages[k])
            if y[:, k].any():
                p_, r, _ = peer.precision_recall_curve(y[:, k], p[:, k])
                note("labels: F1 of the chosen threshold is the best there is", label["f1"], np.max(2 * p_ * r / np.maximum(p_ + r, 1e-300)))
            else:
                note("labels: without a photo the threshold is one half", label["threshold"], 0.5)
        share, held = p.astype("f8").ravel(), y.ravel()
        place = np.clip(np.ceil(share * 15).astype(int) - 1, 0, 14)
        note("labels: calibration error, 15 bins", ours["calibrationError"], sum(abs((share - held)[place == b].sum()) for b in range(15)) / share.size, 1e-6)
        note("labels: mean average precision", best.get("meanAveragePrecision"), mean(averages))
        note("labels: macro ROC-AUC", best.get("macroROCAUC"), mean(areas))


def numbers(photos, width, count):
    found, truth = [], []
    for case in range(count):
        y = random.normal(0, 10 ** random.uniform(-2, 4), (photos, width)) + random.normal(0, 100)
        if case % 4 == 1:
            y[:, 0] = 3  # a constant: there is no variance to explain
        answer = y * random.uniform(0.5, 1.5) + random.normal(0, 1, (photos, width)) * (case % 3)
        found.append(answer.astype("f4"))
        truth.append(y.astype("f4"))
    for ours, answer, y in zip(measure(found, truth, "--regression"), found, truth):
        known = []
        for k, value in enumerate(ours["values"]["values"]):
            a, t = answer[:, k].astype("f8"), y[:, k].astype("f8")
            size = max(1.0, np.abs(t).max())
            note("numbers: mean error", value["meanAbsoluteError"] / size, peer.mean_absolute_error(t, a) / size)
            note("numbers: root mean square", value["rootMeanSquaredError"] / size, peer.root_mean_squared_error(t, a) / size)
            r2 = peer.r2_score(t, a) if np.ptp(t) > 0 else None
            scale = max(1.0, abs(r2 or 0))
            note("numbers: R², null of a constant", None if value.get("r2") is None else value["r2"] / scale, None if r2 is None else r2 / scale, 1e-7)
            known.append(r2)
        scale = max(1.0, abs(mean(known) or 0))
        note("numbers: mean R²", None if ours["values"].get("r2") is None else ours["values"]["r2"] / scale, None if mean(known) is None else mean(known) / scale, 1e-7)


for photos, classes, count in ((40, 4, 90), (60, 7, 60), (12, 3, 60), (25, 2, 50), (1, 3, 20)):
    classification(photos, classes, count * SCALE)
for photos, width, count in ((40, 5, 50), (9, 2, 30)):
    labels(photos, width, count * SCALE)
for photos, width, count in ((30, 2, 30), (5, 1, 10)):
    numbers(photos, width, count * SCALE)
for name, (count, error, tolerance) in worst.items():
    ok = error <= tolerance
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {count} times, apart by {error:.1e}, at most {tolerance:.0e}")
sys.exit(1 if failures else 0)
