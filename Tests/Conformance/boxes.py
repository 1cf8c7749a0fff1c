"""Average precision of boxes, overlaps and suppression (case G of README.md).

COCO's numbers against pycocotools on random cases with crowds, ties, copies, photos without boxes and classes without any,
at all sizes; Pascal VOC's against a plain reading of the devkit's rules, on VOC folders and YOLO files too; IoU and GIoU against
torchvision, suppression against TensorFlow and, where its operators load, torchvision. With CONFORMANCE=all ten times as many cases."""
import contextlib
import io
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import _graft
from _graft import complaint, report
from _peers import each_alone, torchvision as load

folder = Path(tempfile.mkdtemp(prefix="graft-boxes-"))
FULL = os.environ.get("CONFORMANCE") == "all"
NAMES = ["ap", "ap50", "ap75", "apSmall", "apMedium", "apLarge", "ar1", "ar10", "ar100", "arSmall", "arMedium", "arLarge"]


def graft(*arguments):
    answer = _graft.graft("boxes", *arguments)
    return json.loads(answer) if answer.startswith(("{", "[")) else answer


def case(number):
    """Annotations and results: boxes of all sizes, many of them near an annotated one, some with scores that are equal."""
    random = np.random.default_rng(number)
    photos, classes = int(random.integers(1, 9)), int(random.integers(1, 5))
    whole = number % 3 == 0  # whole numbers: overlaps that are thresholds exactly

    def box():
        size = float(random.choice([12, 30, 60, 150, 250]))
        w, h = random.uniform(0.5, 1.5, 2) * size
        return [random.uniform(0, 300), random.uniform(0, 300), w, h]

    def rounded(values):
        return [float(max(round(v), 1 if k > 1 else 0)) if whole else float(round(v, 3)) for k, v in enumerate(values)]

    images = [{"id": int(k), "file_name": f"{k}.jpg", "width": 600, "height": 600} for k in random.permutation(np.arange(3, 3 + 5 * photos, 5))]
    categories = [{"id": int(k), "name": f"kind {k:02}"} for k in sorted(random.choice(np.arange(1, 90), classes + 1, replace=False))]
    annotations, results = [], []
    for image in images:
        if random.random() < 0.2:
            continue  # nothing is in it
        for _ in range(int(random.integers(0, 9))):
            category = categories[int(random.integers(0, classes))]  # the last occurs nowhere
            sides = rounded(box())
            annotations.append({"id": len(annotations) + 1, "image_id": image["id"], "category_id": category["id"], "bbox": sides,
                                "iscrowd": int(random.random() < 0.15), "area": sides[2] * sides[3] * float(random.choice([1, 1, 0.6]))})
    for image in images:
        own = [a for a in annotations if a["image_id"] == image["id"]]
        for _ in range(int(random.integers(0, 130 if number % 25 == 0 else 14))):
            category = categories[int(random.integers(0, classes + 1))]["id"]
            sides = box()
            if own and random.random() < 0.75:
                near = own[int(random.integers(0, len(own)))]
                category = near["category_id"] if random.random() < 0.85 else category
                w, h = near["bbox"][2:]
                shift = random.normal(0, random.choice([0, 0.03, 0.1, 0.25]), 4) * [w, h, w, h]
                sides = [near["bbox"][k] + shift[k] for k in range(4)]
                sides[2:] = [max(v, 1) for v in sides[2:]]
            score = float(random.choice([0.25, 0.5, 0.75])) if number % 2 else float(round(random.random(), 4))
            results.append({"image_id": image["id"], "category_id": category, "bbox": rounded(sides), "score": score})
            if random.random() < 0.1:
                results.append(dict(results[-1]))
    return {"images": images, "categories": categories, "annotations": annotations, "info": {}}, results


def by_cocotools(truth, results):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        found = coco.loadRes(results) if results else COCO()
        if not results:
            found.dataset = {"images": truth["images"], "categories": truth["categories"], "annotations": []}
            found.createIndex()
        evaluation = COCOeval(coco, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # overlap, recall, class
    each = [(row[row > -1].mean() if (row > -1).any() else -1) for row in np.moveaxis(precision, 2, 0)]
    return dict(zip(NAMES, evaluation.stats)), each


def devkit(found, truth):
    """One class: found (photo, xyxy, score), truth (photo, xyxy, aside); AP of 2007 and of 2010. Overlaps as pixels count."""
    wanted = sum(not t[2] for t in truth)
    if not wanted:
        return None, None
    taken, right, wrong = set(), [], []
    for k in np.argsort([-f[2] for f in found], kind="stable"):
        photo, (x0, y0, x1, y1), _ = found[k]
        best, which = -np.inf, None
        for index, (other, (a0, b0, a1, b1), _) in enumerate(truth):
            if other != photo:
                continue
            w, h = min(x1, a1) - max(x0, a0) + 1, min(y1, b1) - max(y0, b0) + 1
            both = max(w, 0) * max(h, 0)
            overlap = both / ((x1 - x0 + 1) * (y1 - y0 + 1) + (a1 - a0 + 1) * (b1 - b0 + 1) - both)
            if overlap > best:
                best, which = overlap, index
        hit = best > 0.5
        aside = hit and truth[which][2]
        right.append(float(hit and not aside and which not in taken))
        wrong.append(float(not hit or (not aside and which in taken)))
        if hit and not aside:
            taken.add(which)
    recall = np.cumsum(right) / wanted
    precision = np.cumsum(right) / np.maximum(np.cumsum(right) + np.cumsum(wrong), np.finfo(float).eps)
    points = sum(max(precision[recall >= t], default=0) for t in np.arange(0.0, 1.1, 0.1)) / 11
    r, p = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    p = np.maximum.accumulate(p[::-1])[::-1]
    moved = np.flatnonzero(r[1:] != r[:-1])
    return points, float(np.sum((r[moved + 1] - r[moved]) * p[moved + 1]))


def pixels(sides):
    """Edges as the devkit's first and last pixel, counted from 1."""
    x, y, w, h = sides
    return x + 1, y + 1, x + w, y + h


def voc_by_hand(truth, results):
    """By name of the class, both averages."""
    answer = {}
    for category in truth["categories"]:
        answer[category["name"]] = devkit([(r["image_id"], pixels(r["bbox"]), r["score"]) for r in results if r["category_id"] == category["id"]],
                                          [(a["image_id"], pixels(a["bbox"]), a.get("aside", a["iscrowd"])) for a in truth["annotations"] if a["category_id"] == category["id"]])
    return answer


def apart(a, b):
    """The difference of two numbers, of which COCO's tools write -1 for none."""
    none = [x is None or x == -1 for x in (a, b)]
    return 0 if all(none) else np.inf if any(none) else abs(a - b)


def cocos():
    count = 2000 if FULL else 240
    worst, each, hand, undefined, thresholds = 0, 0, 0, 0, 0

    def one(number):
        truth, results = case(number)
        place = folder / str(number)
        place.mkdir()
        (place / "truth.json").write_text(json.dumps(truth))
        (place / "found.json").write_text(json.dumps(results))
        return truth, results, graft(place / "found.json", place / "truth.json", "--json")

    with ThreadPoolExecutor(2) as pool:
        for truth, results, mine in pool.map(one, range(count)):
            metrics, classes = mine["metrics"], {c["name"]: c for c in mine["metrics"]["perClass"]}
            theirs, by_class = by_cocotools(truth, results)
            worst = max(worst, *(apart(metrics.get(k), v) for k, v in theirs.items()))
            each = max(each, *(apart(classes[c["name"]].get("ap"), v) for c, v in zip(truth["categories"], by_class)))
            undefined += sum(v == -1 for v in theirs.values())
            told = voc_by_hand(truth, results)
            hand = max(hand, *(apart(classes[n].get(k), v) for n, pair in told.items() for k, v in zip(("voc07", "voc10"), pair)))
            known = [pair for pair in told.values() if pair[0] is not None]
            means = np.mean(known, axis=0) if known else (None, None)
            hand = max(hand, *(apart(metrics.get(k), v) for k, v in zip(("voc07", "voc10"), means)))
    report(worst < 1e-6, "COCO's twelve numbers, pycocotools", f"worst {worst:.1e} of {count} cases, {undefined} numbers undefined in both")
    report(each < 1e-6, "   AP of each class", f"worst {each:.1e}")
    report(hand < 1e-9, "VOC 2007 and 2010 by the devkit's rules, crowds set aside", f"worst {hand:.1e}")


def other_files():
    """The same boxes as a Pascal VOC folder, with boxes that are hard to see, and as YOLO's files."""
    random = np.random.default_rng(77)
    truth, results = case(6)
    voc, yolo = folder / "voc", folder / "yolo"
    for place in (voc / "Annotations", voc / "JPEGImages", yolo / "images", yolo / "labels"):
        place.mkdir(parents=True)
    names = sorted(c["name"] for c in truth["categories"])
    by_id = {c["id"]: c["name"] for c in truth["categories"]}
    for image in truth["images"]:
        stem = str(image["id"])
        Image.new("RGB", (800, 800)).save(voc / f"JPEGImages/{stem}.jpg")
        Image.new("RGB", (800, 800)).save(yolo / f"images/{stem}.jpg")
        text, lines = "", []
        for a in (a for a in truth["annotations"] if a["image_id"] == image["id"]):
            a["iscrowd"], a["aside"] = 0, int(random.random() < 0.3)
            x, y, w, h = a["bbox"] = [float(round(v)) + (k > 1) for k, v in enumerate(a["bbox"])]
            a["area"] = w * h
            edges = zip(("xmin", "ymin", "xmax", "ymax"), pixels(a["bbox"]))
            text += f"<object><name>{by_id[a['category_id']]}</name><difficult>{a['aside']}</difficult><bndbox>" + "".join(f"<{k}>{v:.0f}</{k}>" for k, v in edges) + "</bndbox></object>"
            lines.append(f"{names.index(by_id[a['category_id']])} {(x + w / 2) / 800!r} {(y + h / 2) / 800!r} {w / 800!r} {h / 800!r}\n")
        (voc / f"Annotations/{stem}.xml").write_text(f"<annotation><filename>{stem}.jpg</filename>{text}</annotation>")
        (yolo / f"labels/{stem}.txt").write_text("".join(lines))
    (yolo / "data.yaml").write_text("train: images\nnames: [" + ", ".join(names) + "]\n")
    named = [{**r, "category_id": by_id[r["category_id"]], "image_id": str(r["image_id"])} for r in results]
    (folder / "named.json").write_text(json.dumps(named))
    (folder / "placed.json").write_text(json.dumps([{**r, "category_id": names.index(by_id[r["category_id"]])} for r in results]))
    told, (theirs, _) = voc_by_hand(truth, results), by_cocotools(truth, results)
    metrics = graft(folder / "named.json", voc, "--json")["metrics"]
    worst = max(apart(c.get(k), v) for c in metrics["perClass"] for k, v in zip(("voc07", "voc10"), told[c["name"]]))
    report(worst < 1e-9, "a Pascal VOC folder: boxes that are hard to see set aside", f"worst {worst:.1e}")
    metrics = graft(folder / "placed.json", yolo / "data.yaml", "--json")["metrics"]
    worst = max(apart(metrics.get(k), v) for k, v in theirs.items())
    report(worst < 1e-6, "YOLO's files: COCO's numbers", f"worst {worst:.1e}")


def drawn(random, whole):
    """Boxes by their edges, at whole pixels or anywhere."""
    corner, size = random.uniform(0, 60, (40, 2)), random.uniform(1, 30, (40, 2))
    both = np.concatenate([corner, corner + size], 1)
    both = np.round(both) if whole else both
    return both[(both[:, 2] > both[:, 0]) & (both[:, 3] > both[:, 1])].astype("f4")


def torch_part():
    load()
    import torch
    from torchvision.ops import batched_nms, box_iou, generalized_box_iou

    random = np.random.default_rng(3)
    worst, general, own = 0, 0, True
    for number in range(20):
        a, b = drawn(random, number % 2), drawn(random, number % 2)
        np.save(folder / "a.npy", a)
        np.save(folder / "b.npy", b)
        mine = graft("overlap", folder / "a.npy", "--others", folder / "b.npy")
        x, y = torch.from_numpy(a).double(), torch.from_numpy(b).double()
        worst = max(worst, np.abs(np.array(mine["overlaps"]) - box_iou(x, y).numpy()).max())
        general = max(general, np.abs(np.array(mine["generalised"]) - generalized_box_iou(x, y).numpy()).max())
    report(worst < 1e-12, "IoU, torchvision", f"{worst:.1e}")
    report(general < 1e-12, "GIoU, torchvision", f"{general:.1e}")
    np.save(folder / "a.npy", np.array([[0, 0, 10, 10]], "f4"))
    np.save(folder / "b.npy", np.array([[20, 20, 30, 30]], "f4"))
    apart = graft("overlap", folder / "a.npy", "--others", folder / "b.npy")["generalised"][0][0]
    report(abs(apart + 7 / 9) < 1e-12, "GIoU of two boxes apart", apart)

    def kept(x, scores, kinds, threshold):
        return batched_nms(torch.from_numpy(x), torch.from_numpy(scores), torch.from_numpy(kinds), threshold).tolist()

    try:
        kept(np.zeros((1, 4), "f4"), np.zeros(1, "f4"), np.zeros(1, "i8"), 0.5)
    except (RuntimeError, NotImplementedError):
        print("     suppression, torchvision: its operators do not load beside this PyTorch; TensorFlow's are compared", flush=True)
        return
    suppressions("torchvision", kept)


def tensorflow_part():
    import tensorflow as tf

    def kept(x, scores, kinds, threshold):
        """Class by class, then the surest first; of equals the first."""
        stay = []
        for kind in np.unique(kinds):
            at = np.flatnonzero(kinds == kind)
            stay += at[tf.image.non_max_suppression(x[at][:, [1, 0, 3, 2]], scores[at], len(at), threshold).numpy()].tolist()
        return sorted(stay, key=lambda k: (-scores[k], k))

    suppressions("TensorFlow", kept)


def suppressions(peer, theirs):
    random = np.random.default_rng(4)
    wrong = {True: [], False: []}
    for number in range(20):
        x = drawn(random, number % 2)
        scores, kinds = np.round(random.random(len(x)), 1).astype("f4"), random.integers(0, 3, len(x))
        for name, values in (("a", x), ("s", scores), ("c", kinds)):
            np.save(folder / f"{name}.npy", values)
        for threshold in (0.1, 0.5, 0.7):
            for each in wrong:
                settings = ["--classes", folder / "c.npy"] if each else []
                mine = graft("overlap", folder / "a.npy", "--scores", folder / "s.npy", "--threshold", threshold, *settings)["kept"]
                if mine != theirs(x, scores, kinds if each else np.zeros_like(kinds), threshold):
                    wrong[each].append((number, threshold))
    report(not wrong[False], f"suppression, {peer}: equal scores, whole pixels", wrong[False] or "60 cases")
    report(not wrong[True], "   class by class", wrong[True] or "60 cases")
    x, scores = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], "f4"), np.array([0.9, 0.8], "f4")
    np.save(folder / "a.npy", x)
    np.save(folder / "s.npy", scores)
    mine = graft("overlap", folder / "a.npy", "--scores", folder / "s.npy", "--threshold", 0.5)["kept"]
    report(mine == [0, 1] == theirs(x, scores, np.zeros(2, "i8"), 0.5), "   an overlap of 0.5 stays at 0.5", mine)
    truth, results = case(6)
    (folder / "found.json").write_text(json.dumps(results))
    graft("nms", folder / "found.json", "--overlap", 0.45, "-o", folder / "kept.json")
    mine, wanted = json.loads((folder / "kept.json").read_text()), []
    for image in {r["image_id"] for r in results}:
        own = [r for r in results if r["image_id"] == image]
        x = np.array([r["bbox"] for r in own], "f4")
        x[:, 2:] += x[:, :2]
        wanted += [own[k] for k in theirs(x, np.array([r["score"] for r in own], "f4"), np.array([r["category_id"] for r in own]), 0.45)]
    key = lambda r: json.dumps({**r, "bbox": [float(v) for v in r["bbox"]]}, sort_keys=True)
    report(sorted(map(key, mine)) == sorted(map(key, wanted)), "   of a file of results", f"{len(mine)} of {len(results)}")


def coco_part():
    cocos()
    other_files()
    refused()


def refused():
    truth, results = case(6)
    (folder / "truth.json").write_text(json.dumps(truth))
    for name, spoil, word in (("a photo that is not annotated", {"image_id": 99999}, "99999"), ("a box of three numbers", {"bbox": [1, 2, 3]}, "result 0"),
                              ("a box without a size", {"bbox": [1, 2, -3, 4]}, "result 0"), ("no score", {"score": "much"}, "score"), ("a box too large for a number", {"bbox": [0, 0, 1e300, 1e300]}, "result 0")):
        (folder / "bad.json").write_text(json.dumps([{**results[0], **spoil}]))
        told = complaint("boxes", folder / "bad.json", folder / "truth.json")
        report(word in told and "Fatal" not in told, f"refused: {name}", "" if word in told else told)


broken = each_alone(__file__, coco=coco_part, torch=torch_part, tensorflow=tensorflow_part)
sys.exit(broken + report.failed > 0)
