"""Learned embeddings (case H of README.md).

Losses: value and gradient against PyTorch's autograd of TensorFlow Addons' definition, pytorch-metric-learning's miner,
triplets, ArcFace and CosFace, and PyTorch's own triplets. Metrics: pytorch-metric-learning's calculator and a count by
hand. Runs: photos of drawn shapes that were never learned from are found better than by the features that the
run started from; a run that was cut short goes on bit for bit; vectors are of length 1, and onnxruntime gives the same."""
import json
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

import _drawn
from _graft import GRAFT, complaint, graft, report
from _tiny import random_tiny

folder = Path(tempfile.mkdtemp(prefix="graft-embedding-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")
torch.set_num_threads(1)
FULL = os.environ.get("CONFORMANCE") == "all"


def batch(random, count, width, classes):
    vectors = random.normal(0, 1, (count, width)).astype("f4")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), random.integers(0, classes, count)


# Losses
def ours(vectors, labels, kind, margin=None, scale=None, proxies=None):
    np.save(folder / "v.npy", vectors)
    np.save(folder / "y.npy", labels.astype("i8"))
    settings = []
    for name, value in (("--margin", margin), ("--scale", scale)):
        settings += [name, value] if value is not None else []
    if proxies is not None:
        np.save(folder / "w.npy", proxies)
        settings += ["--proxies", folder / "w.npy"]
    graft("likeness", folder / "v.npy", "--labels", folder / "y.npy", "--loss", kind, "-o", folder / "g.safetensors", *settings)
    return load_file(folder / "g.safetensors")


def distances(v):
    """Euclidean, without a gradient where it is 0, as Addons masks it."""
    squares = ((v[:, None] - v[None]) ** 2).sum(2)
    apart = squares > 0
    return torch.where(apart, torch.sqrt(torch.where(apart, squares, torch.ones_like(squares))), torch.zeros_like(squares))


def semi_hard(v, labels, margin):
    """Addons' triplet_semihard_loss over distances that are not squared, by tiles and masks as it is written there."""
    d, n = distances(v), len(labels)
    other = labels[None] != labels[:, None]
    tiled = d[None].expand(n, n, n)  # positive, anchor, negative
    mask = other[None] & (tiled > d.T[:, :, None])
    outside = torch.where(mask, tiled, torch.full_like(tiled, math.inf)).amin(2).T
    least = d.amin(1, keepdim=True)
    inside = ((d - least) * other).amax(1, keepdim=True) + least
    negatives = torch.where(mask.any(2).T, outside, inside.expand(n, n))
    positives = (labels[None] == labels[:, None]) & ~torch.eye(n, dtype=torch.bool)
    return (torch.clamp(margin + d - negatives, min=0) * positives).sum() / positives.sum()


def contrastive(v, labels, margin):
    i, j = torch.triu_indices(len(labels), len(labels), 1)
    d, same = distances(v)[i, j], (labels[i] == labels[j]).double()
    return (same * d**2 + (1 - same) * torch.clamp(margin - d, min=0) ** 2).mean()


def losses():
    from pytorch_metric_learning import distances as measures, losses as theirs, miners, reducers

    euclidean = measures.LpDistance(normalize_embeddings=False)

    def hard(v, labels, margin):
        loss = theirs.TripletMarginLoss(margin=margin or 0, smooth_loss=margin is None, distance=euclidean, reducer=reducers.MeanReducer())
        return loss(v, labels, miners.BatchHardMiner(distance=euclidean)(v, labels))

    def margins(kind, v, labels, margin, scale, proxies):
        module = {"arcface": theirs.ArcFaceLoss, "cosface": theirs.CosFaceLoss}[kind]
        loss = module(len(proxies), v.shape[1], margin=math.degrees(margin) if kind == "arcface" else margin, scale=scale).double()
        loss.W = torch.nn.Parameter(proxies.T.clone())
        value = loss(v, labels)
        value.backward()
        return value, loss.W.grad.T

    found = ours(np.array([[0, 1], [1, 0]], "f4"), np.array([0, 0]), "triplet-semihard")
    report(abs(found["loss"][0] - 2.41421) < 1e-5, "Addons' golden value", found["loss"][0])
    random = np.random.default_rng(5)
    worst = {}
    for case in range(12):
        count, width, classes = int(random.integers(8, 33)), int(random.integers(3, 40)), int(random.integers(2, 5))
        v, labels = batch(random, count, width, classes)
        labels[: 2 * classes] = np.repeat(np.arange(classes), 2)[: len(labels[: 2 * classes])]  # nobody is alone
        y, margin = torch.from_numpy(labels), float(random.choice([0.2, 0.5, 1.0, 1.4]))
        proxies = random.normal(0, 1, (classes, width)).astype("f4")
        if case % 3 == 0:
            proxies[0] = -v[0]  # where ArcFace's angle is beyond π − margin
            labels[0] = 0
        for kind in ("triplet-semihard", "triplet-hard", "triplet-soft", "contrastive", "arcface", "cosface"):
            x = torch.from_numpy(v).double().requires_grad_()
            if kind in ("arcface", "cosface"):
                mine = ours(v, labels, kind, margin / 2, 16, proxies)
                if kind == "arcface" and case % 3 == 0:
                    near = v.copy()
                    near[0] += random.normal(0, 1e-2, width)  # the slope of acos is infinite at π itself
                    near[0] /= np.linalg.norm(near[0])
                    mine = ours(near, labels, kind, margin / 2, 16, proxies)
                    x = torch.from_numpy(near).double().requires_grad_()
                value, slopes = margins(kind, x, y, margin / 2, 16, torch.from_numpy(proxies).double())
                pairs = [(mine["vectors"], x.grad), (mine["proxies"], slopes)]
                # Theirs divides by the vectors' lengths: what points along the vectors is not compared.
                units = x.detach().numpy() / np.linalg.norm(x.detach().numpy(), axis=1, keepdims=True)
                pairs[0] = tuple(g - (g * units).sum(1, keepdims=True) * units for g in (mine["vectors"].astype("f8"), x.grad.numpy()))
            else:
                mine = ours(v, labels, kind, None if kind == "triplet-soft" else margin)
                value = {"triplet-semihard": semi_hard, "contrastive": contrastive}.get(kind, hard)(x, y, None if kind == "triplet-soft" else margin)
                value.backward()
                pairs = [(mine["vectors"], x.grad)]
            errors = [abs(mine["loss"][0] - value.item()) / max(value.item(), 1e-3)]
            errors += [np.abs(np.asarray(a) - np.asarray(b)).max() / max(np.abs(np.asarray(b)).max(), 1e-6) for a, b in pairs]
            worst[kind] = max(worst.get(kind, 0), *errors)
    for kind, error in worst.items():
        report(error < 2e-5, f"{kind}, value and gradients", f"worst {error:.1e} of 12 cases")
    # PyTorch's own, on the triplets that a batch of two by two leaves no choice of.
    v, _ = batch(random, 3, 16, 2)
    x = torch.from_numpy(v).double().requires_grad_()
    own = torch.nn.TripletMarginLoss(margin=1.0, eps=0)(x[[0, 1]], x[[1, 0]], x[[2, 2]])
    own.backward()
    mine = ours(v, np.array([0, 0, 1]), "triplet-semihard")
    error = max(abs(mine["loss"][0] - own.item()), float(np.abs(mine["vectors"] - x.grad.numpy()).max()))
    report(error < 1e-5, "torch.nn.TripletMarginLoss, where a batch has one choice", f"{error:.1e}")


# Metrics
def by_hand(vectors, labels):
    """Recall@1, Recall@5, R-precision and mAP@R, photo by photo."""
    units = vectors.astype("f8") / np.linalg.norm(vectors.astype("f8"), axis=1, keepdims=True)
    likeness = units @ units.T
    rows = []
    for i, label in enumerate(labels):
        others = [j for j in np.argsort(-likeness[i], kind="stable") if j != i]
        hits = labels[others] == label
        total = int(hits.sum())
        if total:
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            rows.append([hits[0], hits[:5].any(), hits[:total].mean(), (precision * hits)[:total].sum() / total])
    return dict(zip(("recallAt1", "recallAt5", "rPrecision", "mapAtR"), np.mean(rows, axis=0))) | {"queries": len(rows)}


def measured(vectors, labels):
    np.save(folder / "v.npy", vectors)
    np.save(folder / "y.npy", labels.astype("i8"))
    return json.loads(graft("likeness", folder / "v.npy", "--labels", folder / "y.npy"))["retrieval"]


def metrics():
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    random = np.random.default_rng(8)
    worst, theirs = 0, 0
    calculator = AccuracyCalculator(include=("precision_at_1", "r_precision", "mean_average_precision_at_r"), k="max_bin_count", knn_func=CustomKNN(CosineSimilarity()))
    for case in range(40):
        count, classes = int(random.integers(3, 200)), int(random.integers(1, 12))
        v, labels = batch(random, count, int(random.integers(2, 30)), classes)
        v = (v * random.uniform(0.1, 9, (count, 1))).astype("f4")
        if case % 4 == 1:
            labels[0] = classes  # alone of its class
        if case % 4 == 2:
            v[count // 2 :], labels[count // 2 :] = v[: count - count // 2], labels[: count - count // 2]  # copies
        mine = measured(v, labels)
        worst = max(worst, *(abs(mine[k] - x) for k, x in by_hand(v, labels).items())) if mine or by_hand(v, labels)["queries"] else worst
        if case % 4 != 2:  # it orders equals by chance
            told = calculator.get_accuracy(torch.from_numpy(v), torch.from_numpy(labels))
            names = {"precision_at_1": "recallAt1", "r_precision": "rPrecision", "mean_average_precision_at_r": "mapAtR"}
            theirs = max(theirs, *(abs(told[a] - mine[b]) for a, b in names.items()))
    report(worst < 1e-9, "Recall@1, Recall@5, R-precision, mAP@R by hand", f"worst {worst:.1e} of 40 cases")
    report(theirs < 1e-6, "   and pytorch-metric-learning's", f"worst {theirs:.1e} of 30 cases")
    alone = measured(*[batch(random, 5, 4, 2)[0], np.arange(5)])
    report(alone is None, "   undefined where nobody has another of his class", alone)


# Runs
def on_unseen():
    """Case H: shapes that no photo of was learned from."""
    losses = {"triplet-semihard": 0.2, "contrastive": 1, "arcface": 0.3} if FULL else {"triplet-semihard": 0.2}
    table = []
    for seed in range(5 if FULL else 3):
        random = np.random.default_rng(seed)
        order = random.permutation(len(_drawn.KINDS))
        seen, unseen, backbone = folder / f"seen{seed}", folder / f"unseen{seed}", folder / f"backbone{seed}.safetensors"
        _drawn.write(seen, [_drawn.KINDS[i] for i in order[:12]], 40, random)
        _drawn.write(unseen, [_drawn.KINDS[i] for i in order[12:]], 24, random)
        random_tiny(32, backbone, seed=seed)
        graft("features", backbone, unseen, "-o", folder / "raw.npy")
        row = [by_hand(np.load(folder / "raw.npy"), np.repeat(np.arange(6), 24))["recallAt1"]]
        for loss, margin in losses.items():
            graft("train", seen, "--backbone", backbone, "-o", folder / "run", "--overwrite", "--mode", "finetune", "--unfreeze", "all", "--train-bn", "--optimizer", "adam",
                  "--lr", 0.005, "--batch", 48, "--patience", 0, "--seed", seed, "--epochs", 25, "--embedding", 32, "--loss", loss, "--margin", margin)
            row.append(json.loads(graft("evaluate", folder / "run/model.safetensors", unseen, "--json"))["retrieval"]["recallAt1"])
        table.append(row)
    raw, *found = np.mean(table, axis=0)
    for loss, recall in zip(losses, found):
        report(recall > raw + 0.05, f"H  unseen classes, {loss}: Recall@1 beats the features it started from by 0.05",
              f"{recall:.3f}, was {raw:.3f} (mean of {len(table)} seeds: {', '.join(f'{r[0]:.2f} → {r[1 + list(losses).index(loss)]:.2f}' for r in table)})")
    return seen, unseen


def one_run(photos, unseen):
    backbone = folder / "backbone0.safetensors"
    settings = [photos, "--backbone", backbone, "--task", "embedding", "--embedding", 16, "--seed", 3, "--patience", 0]
    graft("train", *settings, "-o", folder / "a", "--epochs", 6, "--validation", unseen)
    metrics = json.loads((folder / "a/metrics.json").read_text())
    told = json.loads(graft("evaluate", folder / "a/model.safetensors", unseen, "--json"))["retrieval"]
    near = all(abs(told[k] - metrics["retrieval"][k]) < 1e-9 for k in ("queries", "recallAt1", "recallAt5", "rPrecision", "mapAtR"))
    report(near and told["queries"] == 144, "validation photos of other classes; evaluate tells what the run told", f"Recall@1 {told['recallAt1']:.3f}")
    graft("features", folder / "a/model.safetensors", unseen, "-o", folder / "v.npy")
    vectors = np.load(folder / "v.npy")
    hand = by_hand(vectors, np.repeat(np.arange(6), 24))
    report(all(abs(hand[k] - told[k]) < 1e-9 for k in hand), "   and what its vectors tell by hand", f"{vectors.shape}")
    lengths = np.linalg.norm(vectors.astype("f8"), axis=1)
    report(vectors.shape[1] == 16 and np.abs(lengths - 1).max() < 1e-6, "vectors are of length 1", f"{np.abs(lengths - 1).max():.1e}")
    page = (folder / "a/report.html").read_text()
    report(all(word in page for word in ("Recall@1", "Recall@5", "mAP@R")), "the report tells Recall@1, Recall@5 and mAP@R", f"{len(page)} bytes")

    import onnxruntime

    graft("convert", folder / "a/model.safetensors", "-o", folder / "m.onnx", "--to", "onnx")
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    x = random.normal(0, 1, (7, 3, 32, 32)).astype("f4")
    np.save(folder / "x.npy", x)
    graft("run", folder / "a/model.safetensors", "--input", folder / "x.npy", "--output", folder / "o.npy", "--layout", "nchw")
    mine, (other, *_) = np.load(folder / "o.npy"), session.run(None, {session.get_inputs()[0].name: x})
    report(mine.shape == other.shape and np.abs(mine - other).max() < 1e-5, "onnxruntime gives the same vectors", f"{np.abs(mine - other).max():.1e}")
    graft("convert", folder / "m.onnx", "-o", folder / "back.safetensors")
    graft("run", folder / "back.safetensors", "--input", folder / "x.npy", "--output", folder / "p.npy", "--layout", "nchw")
    report(np.abs(mine - np.load(folder / "p.npy")).max() < 1e-6, "   and so does the file read back")


def resumed(photos):
    """Cut short by SIGKILL after some epoch, and gone on with."""
    for loss, mode in (("triplet-hard", ["--mode", "features"]), ("arcface", ["--mode", "finetune", "--unfreeze", "2", "--optimizer", "adam"])):
        common = [GRAFT, "train", photos, "--backbone", folder / "backbone0.safetensors", "--embedding", 12, "--loss", loss, "--seed", 5, "--patience", 0,
                  "--epochs", 12, *mode]
        whole, cut = folder / f"whole-{loss}", folder / f"cut-{loss}"
        subprocess.run([*map(str, common), "-o", str(whole)], check=True, capture_output=True)
        running = subprocess.Popen([*map(str, common), "-o", str(cut)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = cut / "log.csv"
        while running.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 3):
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.wait()
        lines = len(log.read_text().splitlines()) - 1
        finished = (cut / "model.safetensors").exists()
        subprocess.run([*map(str, common), "-o", str(cut), "--resume"], check=True, capture_output=True)
        same = (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
        report(same and not finished and
              (whole / "log.csv").read_text() == (cut / "log.csv").read_text(), f"{loss}: killed after {lines} of 12 epochs and resumed, bit for bit")
    names = set(load_file(whole / "model.safetensors"))
    report("proxies" not in names, "the model has no vectors of classes", len(names))


def refused(photos):
    start = ["train", photos, "--backbone", folder / "backbone0.safetensors", "-o", folder / "no", "--embedding", 8]
    for settings, word in ((["--mixup", 0.2], "--mixup"), (["--head", "knn"], "linear or mlp"), (["--photos-per-class", 1], "photos of a class"),
                           (["--batch", 4], "room for 2 classes"), (["--margin", -1], "margin"), (["--balance", "sampling"], "balance"),
                           (["--label-smoothing", 0.1], "--label-smoothing"), (["--task", "regression"], "contradicts"), (["--scale", 3], "arcface")):
        told = complaint(*start, *settings)
        report(word in told and "Fatal" not in told, f"refused: {' '.join(map(str, settings))}", told.strip().splitlines()[-1][:120] if word not in told else "")
    if shutil.which("mpirun"):
        told = subprocess.run(["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", GRAFT, *map(str, start), "--distributed"], capture_output=True, text=True)
        report(told.returncode != 0 and "number of processes" in told.stderr, "refused: several processes", told.stderr.strip()[-200:] if told.returncode == 0 else "")


losses()
metrics()
photos, unseen = on_unseen()
one_run(photos, unseen)
resumed(photos)
refused(photos)
shutil.rmtree(folder)
report.finish()
