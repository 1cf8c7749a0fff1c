"""Detection (case G of README.md).

Anchors, loss, gradient and what is found against torchvision's SSD. On drawn shapes, a network that knows nothing finds
them: AP50 of photos that it was not shown, which pycocotools tells too from what `graft predict` answers. A run that was
cut short goes on bit for bit, frozen maps stay as they are, and onnxruntime gives the same numbers."""
import contextlib
import io
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
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

import _drawn
from _graft import GRAFT, complaint, graft, report
from _peers import torchvision as load

folder = Path(tempfile.mkdtemp(prefix="graft-detection-"))
os.environ["GRAFT_CACHE"] = str(folder / "cache")
NAMES = ["circle", "square", "triangle"]
SHAPES = [_drawn.outline(40, False), _drawn.outline(4, False), _drawn.outline(3, False)]


def scenes(place, count, seed, size=128):
    """Photos of up to three shapes on dark ground, and COCO's file of them."""
    random = np.random.default_rng(seed)
    place.mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = Image.new("RGB", (size, size), tuple(int(v) for v in random.integers(0, 90, 3)))
        pen, placed = ImageDraw.Draw(picture), []
        for _ in range(int(random.integers(0, 9))):
            radius = random.uniform(0.12, 0.24) * size
            x, y = random.uniform(radius, size - radius, 2)
            if any(math.hypot(x - a, y - b) < radius + c for a, b, c in placed):
                continue
            placed.append((x, y, radius))
            kind = int(random.integers(0, 3))
            turn = math.pi / 4 if kind == 1 else random.uniform(0, 2 * math.pi)
            points = [(x + radius * (u * math.cos(turn) - v * math.sin(turn)), y + radius * (u * math.sin(turn) + v * math.cos(turn))) for u, v in SHAPES[kind]]
            pen.polygon(points, fill=tuple(int(v) for v in random.integers(130, 256, 3)))
            (left, top), (right, bottom) = np.min(points, 0), np.max(points, 0)
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": kind + 1, "bbox": [left, top, right - left, bottom - top],
                                "area": (right - left) * (bottom - top), "iscrowd": 0})
        pixels = np.asarray(picture).astype(float) + random.normal(0, 8, (size, size, 3))
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(place / f"{number:03}.png")
        images.append({"id": number, "file_name": f"{number:03}.png", "width": size, "height": size})
    (place / "coco.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": k + 1, "name": n} for k, n in enumerate(NAMES)]}))
    return place / "coco.json"


def plain_nms(boxes, scores, labels, threshold):
    """Class by class, the surest first; torchvision's operator does not load beside every PyTorch."""
    import torch
    from torchvision.ops import box_iou

    covered = ((box_iou(boxes, boxes) > threshold) & (labels[None] == labels[:, None])).numpy()
    kept = []
    for at in torch.sort(scores, descending=True, stable=True)[1].tolist():
        if not covered[at, kept].any():
            kept.append(at)
    return torch.tensor(kept, dtype=torch.long)


def ssd(model):
    """torchvision's definitions on random numbers."""
    load()
    import torch
    from torchvision.models.detection import _utils, ssd as peer
    from torchvision.models.detection.anchor_utils import DefaultBoxGenerator

    peer.box_ops.batched_nms = plain_nms
    boxer = DefaultBoxGenerator([[2, 3]] * 3)
    anchors = boxer._grid_default_boxes([[8, 8], [4, 4], [2, 2]], [1, 1], dtype=torch.float64)
    anchors = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)

    class Self:
        box_coder = _utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        neg_to_pos_ratio, score_thresh, topk_candidates, nms_thresh, detections_per_img = 3, 0.01, 400, 0.45, 200

    random = np.random.default_rng(2)
    loss_error, slope_error, found_error, count = 0, 0, 0, 0
    for case in range(12):
        photos = int(random.integers(1, 5))
        truth = []
        for photo in range(photos):
            corner, size = random.uniform(0, 0.6, (int(random.integers(0, 5)), 2)), None
            size = random.uniform(0.02, 0.4, corner.shape)
            truth.append([[int(random.integers(0, 3)), *c, *(c + s)] for c, s in zip(corner, size)])
        if case == 0:
            truth = [[] for _ in truth]
        numbers = random.normal(0, 1 if case % 2 else 0.3, (photos, len(anchors), 8)).astype("f4")
        numbers[..., 4] += 3 * (case % 3)  # mostly nothing
        np.save(folder / "o.npy", numbers.reshape(photos, -1))
        (folder / "t.json").write_text(json.dumps(truth))
        answer = json.loads(graft("boxes", "loss", model, folder / "o.npy", folder / "t.json", "-o", folder / "g.safetensors"))
        mine = load_file(folder / "g.safetensors")
        x = torch.from_numpy(numbers).double().requires_grad_()
        heads = {"bbox_regression": x[..., :4], "cls_logits": x[..., 4:]}
        targets = [{"boxes": torch.tensor([t[1:] for t in ts], dtype=torch.float64).reshape(-1, 4), "labels": torch.tensor([t[0] + 1 for t in ts], dtype=torch.long)} for ts in truth]
        matcher = _utils.SSDMatcher(0.5)
        from torchvision.ops import box_iou
        matched = [matcher(box_iou(t["boxes"], anchors)) if len(t["boxes"]) else torch.full((len(anchors),), -1) for t in targets]
        losses = peer.SSD.compute_loss(Self, targets, heads, [anchors] * photos, matched)
        value = losses["bbox_regression"] + losses["classification"]
        value.backward()
        loss_error = max(loss_error, abs(mine["loss"][0] - value.item()) / max(value.item(), 1))
        slopes = x.grad.numpy().reshape(photos, -1)
        slope_error = max(slope_error, np.abs(mine["outputs"] - slopes).max() / max(np.abs(slopes).max(), 1e-3))
        with torch.no_grad():
            told = peer.SSD.postprocess_detections(Self, {k: v.detach() for k, v in heads.items()}, [anchors] * photos, [(1, 1)] * photos)
        for found, theirs in zip(answer, told):
            edges = [[f["box"][k] for k in ("left", "top", "right", "bottom")] for f in found]
            same = len(found) == len(theirs["scores"]) and [f["label"] + 1 for f in found] == theirs["labels"].tolist()
            found_error = max(found_error, np.abs(np.array(edges).reshape(-1, 4) - theirs["boxes"].numpy()).max(initial=0)) if same else math.inf
            count += len(found)
    report(np.abs(mine["anchors"] - anchors.numpy()).max() < 1e-6, "anchors, torchvision's DefaultBoxGenerator", f"{len(anchors)}")
    report(loss_error < 1e-6, "loss, torchvision's SSD", f"worst {loss_error:.1e} of 12 cases")
    report(slope_error < 1e-5, "   its gradient", f"worst {slope_error:.1e}")
    report(found_error < 1e-6, "what is found in the numbers, torchvision's SSD", f"worst {found_error:.1e} of {count} boxes")


def by_cocotools(truth, results):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def case_g():
    learned, held = scenes(folder / "learned", 200, 0), scenes(folder / "held", 60, 1)
    start = time.time()
    settings = ["train", learned, "--task", "detection", "--backbone", "graft/tiny", "--mode", "finetune", "--unfreeze", "all", "--batch", 8, "--optimizer", "adam", "--patience", 0]
    graft(*settings, "-o", folder / "run", "--epochs", 40, "--lr", 0.003, "--schedule", "cosine", "--flip", "--seed", 1)
    model, took = folder / "run/model.safetensors", time.time() - start
    told = json.loads(graft("evaluate", model, held, "--json"))["boxes"]
    report(told["ap50"] >= 0.8, "G  drawn shapes, 200 photos to learn from: AP50 of at least 0.8", f"{told['ap50']:.3f}, AP {told['ap']:.3f}, {took:.0f} s")
    answers = json.loads(graft("predict", model, *sorted(folder.glob("held/*.png")), "--threshold", 0, "--json"))["photos"]
    results = [{"image_id": int(Path(a["path"]).stem), "category_id": NAMES.index(t["label"]) + 1, "score": t["score"],
                "bbox": [t["box"]["left"], t["box"]["top"], t["box"]["right"] - t["box"]["left"], t["box"]["bottom"] - t["box"]["top"]]} for a in answers for t in a["things"]]
    stats = by_cocotools(held, results)
    worst = max(abs(told[k] - v) for k, v in zip(("ap", "ap50", "ap75", "apSmall", "apMedium"), stats))
    report(worst < 1e-6, "G     and pycocotools' from what predict answers", f"{worst:.1e}")
    metrics = json.loads((folder / "run/metrics.json").read_text())
    again = json.loads(graft("evaluate", model, learned, "--split", folder / "run/split.json", "--json"))["boxes"]
    worst = max(abs(metrics["boxes"][k] - again[k]) for k in ("ap", "ap50", "ap75", "ar100", "voc10"))
    report(worst < 2e-3, "evaluate tells of the validation photos what the run told", f"{worst:.1e}")
    page = (folder / "run/report.html").read_text()
    report("average precision (COCO)" in page and all(n in page for n in NAMES), "the report tells of it")
    return learned, held, model, settings


def onnx(model):
    import onnxruntime

    graft("convert", model, "-o", folder / "m.onnx", "--to", "onnx")
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(0, 1, (3, 3, 64, 64)).astype("f4")
    np.save(folder / "x.npy", x)
    graft("run", model, "--input", folder / "x.npy", "--output", folder / "y.npy", "--layout", "nchw")
    mine, (other, *_) = np.load(folder / "y.npy"), session.run(None, {session.get_inputs()[0].name: x})
    worst = np.abs(mine - other).max() / np.abs(other).max() if mine.shape == other.shape else math.inf
    report(worst < 1e-5, "onnxruntime gives the same numbers", f"{worst:.1e}, {mine.shape}")


def frozen_and_resumed(settings, model):
    at = settings.index("--mode")
    features = [*settings[:at], *settings[at + 4:], "--backbone", model, "--epochs", 2]
    features.remove("graft/tiny"), features.remove("--backbone")
    graft(*features, "-o", folder / "frozen")
    before, after = load_file(model), load_file(folder / "frozen/model.safetensors")
    moved = {k for k in before if before[k].tobytes() != after[k].tobytes()}
    report(moved and all(k.startswith("detector") for k in moved), "feature mode: nothing but the head moves", f"{len(moved)} of {len(before)} tensors")
    common = [GRAFT, *map(str, settings), "--epochs", "5", "--seed", "2"]
    subprocess.run([*common, "-o", str(folder / "whole")], check=True, capture_output=True)
    running = subprocess.Popen([*common, "-o", str(folder / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = folder / "cut/log.csv"
    while running.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 2):
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    unfinished = not (folder / "cut/model.safetensors").exists()
    subprocess.run([*common, "-o", str(folder / "cut"), "--resume"], check=True, capture_output=True)
    same = (folder / "whole/model.safetensors").read_bytes() == (folder / "cut/model.safetensors").read_bytes()
    report(same and unfinished, "killed and resumed, bit for bit")


def augmented(settings):
    """Boxes follow every change of the images."""
    graft(*settings, "-o", folder / "augmented", "--epochs", 6, "--lr", 0.003, "--augment", "light")
    losses = [float(line.split(",")[1]) for line in (folder / "augmented/log.csv").read_text().splitlines()[1:]]
    report(losses[-1] < 0.9 * losses[0], "with changed images: the loss falls", f"{losses[0]:.2f} to {losses[-1]:.2f}")


def drawings(model):
    """The photos with the boxes in them: the line in the class's colour, other pixels as they were."""
    found = json.loads(graft("predict", model, *sorted(folder.glob("held/*.png")), "--json"))["photos"]
    photos = [Path(a["path"]) for a in found if a["things"]][:3]
    answers = json.loads(graft("predict", model, *photos, "--draw", folder / "drawn", "--json"))["photos"]
    inks = [(230, 25, 75), (60, 180, 75), (0, 130, 200)]
    lines, kept = 0, []
    for photo, answer in zip(photos, answers):
        before, after = (np.asarray(Image.open(p).convert("RGB")).astype(int) for p in (photo, answer["drawing"]))
        free = np.ones(before.shape[:2], bool)
        for thing in answer["things"]:
            box = {k: round(v) for k, v in thing["box"].items()}
            wide = 2 + 4 * (len(thing["label"]) + 5)
            free[max(box["top"] - 7, 0):box["bottom"] + 8, max(min(box["left"], 128 - wide), 0):max(box["right"], box["left"] + wide) + 1] = False
        for thing in answer["things"][:1]:  # The surest is on top.
            box = {k: min(max(round(v), 0), 127) for k, v in thing["box"].items()}
            ink = inks[NAMES.index(thing["label"])]
            line = after[box["top"] + 8:box["bottom"] - 2, box["left"]]
            lines += len(line) > 0 and (line == ink).all()
        kept.append(bool((before == after)[free].all() and (before != after).any()))
    names = sorted(p.name for p in (folder / "drawn").iterdir())
    report(names == [f"{p.stem}.boxes.png" for p in photos] and lines == 3, "found boxes are drawn, each class in its colour", f"{lines} of 3 surest lines, {names}")
    report(all(kept), "   and nothing else is", kept)
    graft("predict", model, photos[0], "--draw", folder / "one.png", "--threshold", 0.3)
    report(Image.open(folder / "one.png").size == (128, 128), "   one photo to a file")
    report("no boxes" in complaint("predict", "graft/tiny", photos[0], "--draw", folder / "no.png"), "   refused of a model that finds none")


def refused(settings, model, learned):
    for extra, word in ((["--mixup", 0.2], "--mixup"), (["--dropout", 0.2], "--dropout"), (["--head", "mlp"], "head"), (["--label-smoothing", 0.1], "--label-smoothing")):
        told = complaint(*settings, "-o", folder / "no", *extra)
        report(word in told and "Fatal" not in told, f"refused: {' '.join(map(str, extra))}", "" if word in told else told[-200:])
    graft("draw", folder / "photos", "--classes", 2, "--count", 4, "--size", 32)
    told = complaint("train", folder / "photos", "--task", "detection", "--backbone", "graft/tiny", "-o", folder / "no")
    report("Fatal" not in told and "error:" in told, "refused: photos without boxes", told.strip()[:140])
    told = complaint("evaluate", model, folder / "photos")
    report("Fatal" not in told and "error:" in told, "refused: evaluating on photos without boxes", told.strip()[:140])


learned, held, model, settings = case_g()
ssd(model)
onnx(model)
drawings(model)
frozen_and_resumed(settings, model)
augmented(settings)
refused(settings, model, learned)
shutil.rmtree(folder)
report.finish()
