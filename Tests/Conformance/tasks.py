"""Localisation and segmentation (cases K and L of README.md).

Losses and gradients against PyTorch's in double precision, GIoU against torchvision's. On drawn shapes: a run learns,
is cut short and resumed to the same bytes, and its figures are those that NumPy counts from what `graft predict` answers;
masks are written and read again; onnxruntime gives the same numbers."""
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

import _drawn
from _graft import GRAFT, complaint, graft, report
from _peers import each_alone, torchvision as load

HARNESS = os.environ.get("GRAFT_HARNESS", os.path.join(os.path.dirname(GRAFT), "graft-harness"))
NAMES = ["circle", "square", "triangle"]
SHAPES = [_drawn.outline(40, False), _drawn.outline(4, False), _drawn.outline(3, False)]


def harness(*arguments):
    run = subprocess.run([HARNESS, "tasks", *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    return run.stdout


def scenes(place, count, seed, size=64):
    """Images with no shape or one, and COCO's file with its outline."""
    random = np.random.default_rng(seed)
    place.mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = Image.new("RGB", (size, size), tuple(int(v) for v in random.integers(0, 90, 3)))
        if random.random() < 0.85:
            radius, kind = random.uniform(0.18, 0.35) * size, int(random.integers(0, 3))
            x, y = random.uniform(radius, size - radius, 2)
            turn = math.pi / 4 if kind == 1 else random.uniform(0, 2 * math.pi)
            points = [(x + radius * (u * math.cos(turn) - v * math.sin(turn)), y + radius * (u * math.sin(turn) + v * math.cos(turn))) for u, v in SHAPES[kind]]
            ImageDraw.Draw(picture).polygon(points, fill=tuple(int(v) for v in random.integers(130, 256, 3)))
            (left, top), (right, bottom) = np.min(points, 0), np.max(points, 0)
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": kind + 1, "bbox": [left, top, right - left, bottom - top],
                                "area": (right - left) * (bottom - top), "iscrowd": 0, "segmentation": [[float(v) for p in points for v in p]]})
        picture.save(place / f"{number:03}.png")
        images.append({"id": number, "file_name": f"{number:03}.png", "width": size, "height": size})
    (place / "coco.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": k + 1, "name": n} for k, n in enumerate(NAMES)]}))
    return place / "coco.json"


def compared(label, path, value, gradient):
    mine = load_file(path)
    report.within(f"{label}: loss", abs(mine["loss"][0] - value) / max(abs(value), 1), 1e-6)
    report.within("   its gradient", np.abs(mine["gradient"] - gradient).max() / max(np.abs(gradient).max(), 1e-3), 1e-5)


def localization_losses(folder):
    load()
    import torch
    from torch.nn import functional as F
    from torchvision.ops import generalized_box_iou_loss

    random = np.random.default_rng(4)
    for function, loss, weight in (("sigmoid", "squared", 1), ("relu", "squared", 2.5), ("sigmoid", "giou", 1), ("relu", "giou", 0.5)):
        scores = random.normal(0, 1, (12, 9)).astype("f4")
        if function == "relu":
            scores[:, 1:5] = random.uniform(0.05, 0.9, (12, 4))
        truth = [[] if n % 4 == 3 else [int(random.integers(0, 4)), *random.uniform(0.2, 0.8, 2), *random.uniform(0.05, 0.6, 2)] for n in range(12)]
        np.save(folder / "s.npy", scores)
        (folder / "t.json").write_text(json.dumps(truth))
        harness("localization", function, loss, weight, folder / "s.npy", folder / "t.json", folder / "l.safetensors")
        x = torch.from_numpy(scores).double().requires_grad_()
        total = F.binary_cross_entropy_with_logits(x[:, 0], torch.tensor([float(bool(t)) for t in truth]).double(), reduction="sum")
        for row, t in zip(x, truth):
            if t:
                box = torch.sigmoid(row[1:5]) if function == "sigmoid" else torch.relu(row[1:5])
                wanted = torch.tensor(t[1:], dtype=torch.float64)
                edges = [torch.stack([b[0] - b[3] / 2, b[1] - b[2] / 2, b[0] + b[3] / 2, b[1] + b[2] / 2]) for b in (box, wanted)]
                total = total + weight * (((box - wanted) ** 2).sum() if loss == "squared" else generalized_box_iou_loss(edges[0][None], edges[1][None], reduction="sum", eps=0))
                total = total + F.cross_entropy(row[None, 5:], torch.tensor([t[0]]))
        (total / len(truth)).backward()
        compared(f"K  localisation, {function} box, {loss} loss, weight {weight}", folder / "l.safetensors", total.item(), x.grad.numpy())


def segmentation_losses(folder):
    import torch
    from torch.nn import functional as F

    random = np.random.default_rng(5)
    for case, terms in enumerate(("ce", "dice", "ce-dice", "ce-dice")):
        scores = random.normal(0, 2, (3, 5, 6, 7)).astype("f4")
        truth = random.integers(0, 4 if case else 5, (3, 6, 7))  # the last class is not always there
        if case > 1:
            truth[random.random(truth.shape) < 0.2] = 255
        np.save(folder / "s.npy", scores)
        np.save(folder / "t.npy", truth.astype("f4"))
        figures = json.loads(harness("segmentation", terms, folder / "s.npy", folder / "t.npy", folder / "l.safetensors"))
        x, y = torch.from_numpy(scores).double().requires_grad_(), torch.from_numpy(truth)
        total = F.cross_entropy(x, y, ignore_index=255) if terms != "dice" else 0
        if terms != "ce":  # segmentation_models_pytorch's DiceLoss("multiclass", ignore_index=255)
            mask = (y != 255)[:, None]
            p, one = x.softmax(1) * mask, F.one_hot(y.clamp(max=4), 5).permute(0, 3, 1, 2) * mask
            both, sums = (p * one).sum((0, 2, 3)), p.sum((0, 2, 3)) + one.sum((0, 2, 3))
            total = total + ((1 - 2 * both / sums.clamp(min=1e-7)) * (one.sum((0, 2, 3)) > 0)).mean()
        total.backward()
        compared(f"L  segmentation, {terms}{', pixels ignored' if case > 1 else ''}", folder / "l.safetensors", total.item(), x.grad.numpy())
        theirs = counted(scores.argmax(1), truth, 5)
        report.within("   mIoU, mDice and accuracies, MMSegmentation's definitions", differs(figures, theirs), 1e-12)


def counted(found, truth, classes):
    """MMSegmentation's figures of one confusion matrix over all pixels."""
    known = truth != 255
    matrix = np.bincount(truth[known].ravel() * classes + found[known].ravel(), minlength=classes ** 2).reshape(classes, classes)
    hits, rows, columns = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"meanIoU": np.nanmean(hits / (rows + columns - hits)), "meanDice": np.nanmean(2 * hits / (rows + columns)),
                "meanAccuracy": np.nanmean(hits / rows), "pixelAccuracy": hits.sum() / matrix.sum()}


def differs(mine, theirs):
    return max(abs(mine[k] - v) for k, v in theirs.items())


def inside(points, size):
    """Which pixels' centres are in a polygon, by the even-odd rule."""
    y, x = np.mgrid[:size, :size] + 0.5
    odd = np.zeros((size, size), bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1]):
        crosses = (ay <= y) != (by <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= crosses & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return odd


def resumed(folder, settings, epochs=3):
    """Whether a run that was resumed leaves the bytes of one that was not."""
    graft(*settings, "-o", folder / "whole", "--epochs", epochs, "--seed", 2)
    graft(*settings, "-o", folder / "cut", "--epochs", 1, "--seed", 2)
    graft(*settings, "-o", folder / "cut", "--epochs", epochs, "--seed", 2, "--resume")
    return (folder / "whole/model.safetensors").read_bytes() == (folder / "cut/model.safetensors").read_bytes()


def onnx(folder, model):
    import onnxruntime

    graft("convert", model, "-o", folder / "m.onnx")
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(0, 1, (2, 3, 64, 64)).astype("f4")
    np.save(folder / "x.npy", x)
    graft("run", model, "--input", folder / "x.npy", "--output", folder / "y.npy", "--layout", "nchw")
    mine, (other, *_) = np.load(folder / "y.npy"), session.run(None, {session.get_inputs()[0].name: x})
    worst = np.abs(mine - other).max() if mine.shape == other.shape else math.inf
    report.within(f"   onnxruntime gives the same numbers, {mine.shape}", worst, 1e-5)


def losses_fall(folder, label):
    rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()[1:]]
    report(float(rows[-1][1]) < 0.7 * float(rows[0][1]), f"{label}: the loss falls", f"{float(rows[0][1]):.3f} to {float(rows[-1][1]):.3f}")


def localization():
    with tempfile.TemporaryDirectory(prefix="graft-tasks-") as temporary:
        folder = Path(temporary)
        os.environ["GRAFT_CACHE"] = str(folder / "cache")
        localization_losses(folder)
        learned, held = scenes(folder / "learned", 120, 0), scenes(folder / "held", 40, 1)
        settings = ["train", learned, "--task", "localization", "--backbone", "graft/tiny", "--mode", "finetune", "--unfreeze", "all",
                    "--optimizer", "adam", "--lr", 0.003, "--batch", 16, "--patience", 0, "--augment", "light", "--box-weight", 5]
        graft(*settings, "-o", folder / "run", "--epochs", 30)
        losses_fall(folder / "run", "K  localisation on drawn shapes")
        model = folder / "run/model.safetensors"
        mine = json.loads(graft("evaluate", model, held, "--json"))
        answers = json.loads(graft("predict", model, *sorted(held.parent.glob("*.png")), "--threshold", 0, "--json"))["photos"]
        truth = json.loads(held.read_text())["annotations"]
        known = {a["image_id"]: a for a in truth}
        right, presence, kinds, overlaps = [], [], [], []
        for answer in answers:
            thing, true = answer["things"][0], known.get(int(Path(answer["path"]).stem))
            found = thing["score"] >= 0.5
            presence.append(found == (true is not None))
            if true is None:
                right.append(not found)
                continue
            box = [thing["box"][k] for k in ("left", "top", "right", "bottom")]
            x, y, w, h = true["bbox"]
            wide, high = min(box[2], x + w) - max(box[0], x), min(box[3], y + h) - max(box[1], y)
            shared = max(wide, 0) * max(high, 0)
            overlaps.append(shared / ((box[2] - box[0]) * (box[3] - box[1]) + w * h - shared))
            kinds.append(thing["label"] == NAMES[true["category_id"] - 1])
            right.append(found and kinds[-1] and overlaps[-1] >= 0.5)
        theirs = {"localized": np.mean(right), "presence": np.mean(presence), "classAccuracy": np.mean(kinds)}
        report.within("   figures of evaluate are those of what predict answers", differs(mine, theirs), 1e-9)
        report.within("   mean IoU", abs(mine["meanIoU"] - np.mean(overlaps)), 1e-6)
        report(mine["presence"] > 0.9 and mine["meanIoU"] > 0.3, "   objects are found", f"presence {mine['presence']:.2f}, IoU {mine['meanIoU']:.2f}, localised {mine['localized']:.2f}")
        page = (folder / "run/report.html").read_text()
        report("localised correctly" in page and all(n in page for n in NAMES), "   the report tells of it")
        report(resumed(folder, settings), "   resumed, bit for bit")
        onnx(folder, model)
        told = complaint("train", learned, "--task", "detection", "--box-loss", "giou", "--backbone", "graft/tiny", "-o", folder / "no")
        report("--box-loss" in told, "   refused: --box-loss for detection", told.strip()[:120])


def segmentation():
    with tempfile.TemporaryDirectory(prefix="graft-tasks-") as temporary:
        folder = Path(temporary)
        os.environ["GRAFT_CACHE"] = str(folder / "cache")
        segmentation_losses(folder)
        learned, held = scenes(folder / "learned", 60, 0), scenes(folder / "held", 30, 1)
        settings = ["train", learned, "--task", "segmentation", "--backbone", "graft/tiny", "--mode", "finetune", "--unfreeze", "all",
                    "--optimizer", "adam", "--lr", 0.003, "--batch", 8, "--patience", 0, "--augment", "light"]
        graft(*settings, "-o", folder / "run", "--epochs", 12)
        losses_fall(folder / "run", "L  segmentation on drawn shapes")
        model = folder / "run/model.safetensors"
        mine = json.loads(graft("evaluate", model, held, "--json"))["segmentation"]
        photos = sorted(held.parent.glob("*.png"))
        graft("predict", model, *photos, "--masks", folder / "grey")
        graft("predict", model, *photos, "--masks", folder / "colour", "--palette", "--draw", str(folder / "drawn") + "/")
        truth = np.zeros((len(photos), 64, 64), int)
        for a in json.loads(held.read_text())["annotations"]:
            flat = a["segmentation"][0]
            truth[a["image_id"] - 1][inside(list(zip(flat[::2], flat[1::2])), 64)] = a["category_id"]
        found = np.stack([np.asarray(Image.open(folder / "grey" / p.name).convert("L")) for p in photos]).astype(int)
        theirs = counted(found, truth, 4)
        report.within("   figures of evaluate are those of the masks that predict writes", differs(mine, theirs), 1e-9)
        report(mine["meanIoU"] > 0.4, "   shapes are found", f"mIoU {mine['meanIoU']:.3f}, mDice {mine['meanDice']:.3f}")
        ink, plain = (np.asarray(Image.open(p).convert("RGB")).astype(int) for p in (next((folder / "drawn").glob("001*")), photos[0]))
        report(((ink != plain).any(2) <= (found[0] > 0)).all() and (found[0] == 0).any(), "   overlays colour the pixels of classes alone")
        # Masks as a data set: grey values and palette colours say the same.
        for kind in ("grey", "colour"):
            place = folder / f"set-{kind}"
            (place / "images").mkdir(parents=True)
            for p in photos:
                (place / "images" / p.name).write_bytes(p.read_bytes())
            (folder / kind).rename(place / "masks")
            (place / "classes.txt").write_text("background\n" + "\n".join(NAMES) + "\n")
            own = json.loads(graft("evaluate", model, place, "--json"))["segmentation"]
            report(own["meanIoU"] == 1 and own["pixelAccuracy"] == 1, f"   its own masks in {kind} are right in every pixel")
        graft("train", folder / "set-grey", "--task", "segmentation", "--backbone", "graft/tiny", "--epochs", 1, "--segmenter", "lraspp", "-o", folder / "masks-run")
        again = graft("train", folder / "set-grey", "--task", "segmentation", "--backbone", "graft/tiny", "--epochs", 1, "--segmenter", "lraspp", "-o", folder / "again")
        same = [(folder / r / "model.safetensors").read_bytes() for r in ("masks-run", "again")]
        report(same[0] == same[1], "   trained on masks, and again from kept features, to the same bytes", again.strip()[-40:])
        Image.new("L", (9, 9)).save(folder / "set-grey/masks/002.png")
        told = complaint("evaluate", model, folder / "set-grey")
        report("002.png" in told and "9 × 9" in told and "64 × 64" in told, "   refused: a mask of another size, by name", told.strip()[:160])
        report(resumed(folder, settings), "   resumed, bit for bit")
        onnx(folder, model)
        told = complaint("train", learned, "--task", "segmentation", "--backbone", "graft/tiny", "--mixup", 0.2, "-o", folder / "no")
        report("--mixup" in told, "   refused: --mixup", told.strip()[:120])


if len(sys.argv) == 1:
    report(each_alone(__file__, localization=localization, segmentation=segmentation) == 0, "both tasks")
else:
    each_alone(__file__, localization=localization, segmentation=segmentation)
report.finish()
