"""One annotated set as datumaro exports it, and as other readers read it: `graft boxes` finds the same boxes.

datumaro writes the set for COCO, Pascal VOC, YOLO, CVAT, LabelMe, Open Images, KITTI and itself; pycocotools, torchvision and Ultralytics (run as a
program) read what was written, and what they read is compared with what graft reads: as many boxes, all of them exact.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import numpy as np

from _graft import GRAFT, report

# Before datumaro, which imports parts of PyTorch in an order that torchvision cannot bear.
try:
    from torchvision.datasets import VOCDetection
except RuntimeError as error:  # built for another PyTorch
    VOCDetection, unusable = None, str(error)

work = pathlib.Path(tempfile.mkdtemp(prefix="graft-annotations-"))
os.environ["YOLO_CONFIG_DIR"] = str(work / "config")
NAMES = ["cat", "dog", "bird"]
WIDTH, HEIGHT = 200, 150
rng = random.Random(11)


def scene():
    """Images with up to four boxes each, some at the border, and the result list of these boxes."""
    images, results = [], []
    for index in range(12):
        boxes = []
        for place in range(rng.randrange(0, 5)):
            width, height = rng.randrange(21, 49), rng.randrange(21, 60)
            left = rng.choice([0, place * 50 + rng.randrange(0, 2), 199 - width])
            boxes.append((rng.randrange(3), left, rng.randrange(0, HEIGHT - height), width, height))
        images.append((f"image {index}", boxes))
        results += [{"image_id": f"image {index}", "category_id": NAMES[c], "bbox": box, "score": 0.5}
                    for c, *box in boxes]
    return images, results


def compare(label, results, data, *options):
    """graft reads as many boxes at `data` as there are results, and each is found."""
    path = work / "results.json"
    path.write_text(json.dumps(results))
    done = subprocess.run([GRAFT, "boxes", str(path), str(data), "--json", *options], capture_output=True, text=True)
    if done.returncode:
        return report(False, label, done.stderr[-300:])
    answer = json.loads(done.stdout)
    same = answer["truths"] == len(results) and answer["metrics"]["ap"] == 1
    report(same, label, f"{answer['truths']} of {len(results)} boxes, AP {answer['metrics']['ap']:.3f} {done.stderr[-200:]}")


def write(images, name, kind, **options):
    import datumaro
    from datumaro.components.annotation import Bbox
    from datumaro.components.media import Image

    items = [datumaro.DatasetItem(
        id=image, subset="train" if index < 8 else "val", attributes={"id": index + 1},
        media=Image.from_numpy(data=np.full((HEIGHT, WIDTH, 3), index * 9, np.uint8)),
        annotations=[Bbox(x, y, w, h, label=c, id=index * 10 + at) for at, (c, x, y, w, h) in enumerate(boxes)])
        for index, (image, boxes) in enumerate(images)]
    datumaro.Dataset.from_iterable(items, categories=NAMES, media_type=Image).export(
        str(work / name), kind, save_media=True, **options)
    return work / name


def read_coco(path):
    from pycocotools.coco import COCO

    coco = COCO(path)
    return [{"image_id": pathlib.Path(coco.imgs[a["image_id"]]["file_name"]).stem,
             "category_id": coco.cats[a["category_id"]]["name"], "bbox": a["bbox"], "score": 0.5}
            for a in coco.anns.values()]


def read_voc(folder):
    results = []
    for path in sorted((folder / "Annotations").glob("*.xml")):
        tree = VOCDetection.parse_voc_xml(xml.etree.ElementTree.parse(path).getroot())["annotation"]
        for thing in tree.get("object", []):
            box = [float(thing["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            results.append({"image_id": path.stem, "category_id": thing["name"], "score": 0.5,
                            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]})
    return results


READ_YOLO = """
import json, pathlib, sys, torch
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
data = check_det_dataset(sys.argv[1], autodownload=False)
results = []
for label in YOLODataset(img_path=data["train"], data=data, task=sys.argv[2], augment=False).labels:
    height, width = label["shape"]
    for c, (x, y, w, h) in zip(label["cls"], label["bboxes"].tolist()):
        results.append({"image_id": pathlib.Path(label["im_file"]).stem, "category_id": data["names"][int(c[0])],
                        "score": 0.5, "bbox": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]})
open(sys.argv[3], "w").write(json.dumps(results))
"""


def read_yolo(settings, task="detect"):
    """What Ultralytics' own reader makes of a set, in a process of its own; nothing of it is imported here."""
    out = work / "ultralytics.json"
    out.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", READ_YOLO, str(settings), task, str(out)], capture_output=True, text=True)
    return json.loads(out.read_text()) if out.exists() else done.stderr[-300:]


images, truth = scene()
TRAIN, VAL = {name for name, _ in images[:8]}, {name for name, _ in images[8:]}
for name, kind, at in [("coco", "coco_instances", ""), ("voc", "voc_detection", ""), ("yolo", "yolo", ""),
                       ("ultralytics", "yolo_ultralytics", "data.yaml"), ("cvat", "cvat", ""),
                       ("labelme", "label_me", ""), ("openimages", "open_images", ""), ("datumaro", "datumaro", ""),
                       ("kitti", "kitti_detection", "")]:
    folder = write(images, name, kind)
    for split, names in (("training", TRAIN), ("validation", VAL)):
        compare(f"datumaro's {kind}, {split}", [t for t in truth if t["image_id"] in names], folder / at, "--split", split)
compare("what pycocotools reads", read_coco(work / "coco/annotations/instances_val.json"), work / "coco")
if VOCDetection is None:
    report.skip("what torchvision reads", unusable)
else:
    compare("what torchvision reads", [r for r in read_voc(work / "voc") if r["image_id"] in VAL], work / "voc")

settings = work / "ultralytics/data.yaml"
text = "train: [images/train, images/val]\nval: images/train\nnames:\n  2: bird\n  0: cat\n  1: dog\n"
lists = {"boxes": (text, "detect", lambda line: line), "CRLF": (text.replace("\n", "\r\n"), "detect", lambda line: line + "\r"),
         "polygons": (text, "segment", None)}


def outline(line):
    c, x, y, w, h = map(float, line.split())
    sides = [(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)]
    return f"{int(c)} " + " ".join(f"{min(max(v, 0), 1):.8f}" for point in sides for v in point)


labels = {path: path.read_text() for path in (work / "ultralytics/labels").rglob("*.txt")}
for name, (yaml, task, change) in lists.items():
    settings.write_bytes(f"path: {work}/ultralytics\n".encode() + yaml.encode())
    for path, lines in labels.items():
        path.write_bytes("".join((change or outline)(line) + "\n" for line in lines.splitlines()).encode())
    for cache in (work / "ultralytics").rglob("*.cache"):
        cache.unlink()
    read = read_yolo(settings, task)
    if isinstance(read, str):
        report.skip(f"what Ultralytics reads of {name}", read)
    else:
        compare(f"what Ultralytics reads of {name}", read, settings)
        report(len(read) == len(truth), f"Ultralytics reads every box of {name}", f"{len(read)} of {len(truth)}")
report.finish()
