"""Data sets converted between all formats: the same boxes come back, and the readers of other programs find them too."""
import csv
import json
import os
import random
import subprocess
import tempfile
import xml.etree.ElementTree as xml

import numpy as np
from PIL import Image

from _graft import attempt, complaint, graft, report
from _peers import torchvision

FORMATS = ["csv", "coco", "yolo", "voc", "createml", "labelstudio"]
NAMES = ["zebra", "cat", "dog & co", "ümlaut"]
SPLITS = {"train": 7, "val": 3, "test": 2}


def quiet(function, *arguments):
    with open(os.devnull, "w") as null, __import__("contextlib").redirect_stdout(null):
        return function(*arguments)


def make(folder, polygons=False):
    """A COCO set of three splits, with a crowd, an empty image and a class that no image shows."""
    rng = random.Random(5)
    boxes = {}
    for split, count in SPLITS.items():
        os.makedirs(f"{folder}/images/{split}")
        os.makedirs(f"{folder}/annotations", exist_ok=True)
        images, annotations = [], []
        for index in range(count):
            width, height = rng.randrange(90, 200), rng.randrange(90, 200)
            pixels = np.random.default_rng(index).integers(0, 255, (height, width, 3), dtype=np.uint8)
            name = f"{split} {index}.jpg"
            Image.fromarray(pixels).save(f"{folder}/images/{split}/{name}")
            images.append({"id": index + 10, "file_name": name, "width": width, "height": height})
            boxes[name] = []
            for _ in range(0 if index == 1 else rng.randrange(1, 6)):
                left, top = rng.randrange(0, width - 20), rng.randrange(0, height - 20)
                wide, high = rng.randrange(4, width - left), rng.randrange(4, height - top)
                category = rng.randrange(3)
                corners = [left, top, left + wide, top, left + wide, top + high, left, top + high - 1, left, top]
                annotations.append({
                    "id": len(annotations) + 1, "image_id": index + 10, "category_id": category * 2 + 1,
                    "bbox": [left, top, wide, high], "area": wide * high, "iscrowd": 0,
                    "segmentation": [corners] if polygons else []})
                boxes[name].append((NAMES[category], left, top, left + wide, top + high))
        json.dump({
            "images": images, "annotations": annotations,
            "categories": [{"id": i * 2 + 1, "name": n} for i, n in enumerate(NAMES)],
        }, open(f"{folder}/annotations/instances_{split}.json", "w"))
    return boxes


def coco_boxes(folder):
    """What a COCO set holds, by image."""
    found = {}
    for name in sorted(os.listdir(f"{folder}/annotations")):
        data = json.load(open(f"{folder}/annotations/{name}"))
        names = {c["id"]: c["name"] for c in data["categories"]}
        files = {i["id"]: i["file_name"] for i in data["images"]}
        for file in files.values():
            found.setdefault(file, [])
        for a in data["annotations"]:
            x, y, w, h = a["bbox"]
            found[files[a["image_id"]]].append((names[a["category_id"]], x, y, x + w, y + h))
    return found


def same(found, expected, tolerance=1e-6):
    # The lists of Pascal VOC have no blanks in names.
    found, expected = [{k.replace(" ", "_"): v for k, v in d.items()} for d in (found, expected)]
    if sorted(found) != sorted(expected):
        return False
    for name in expected:
        a, b = sorted(found[name]), sorted(expected[name])
        if len(a) != len(b) or any(x[0] != y[0] or max(abs(p - q) for p, q in zip(x[1:], y[1:])) > tolerance for x, y in zip(a, b)):
            return False
    return True


with tempfile.TemporaryDirectory() as root:
    source = f"{root}/source"
    boxes = make(source)
    count = sum(map(len, boxes.values()))

    for first in FORMATS:
        written = f"{root}/{first}"
        answer = json.loads(graft("data", "convert", source, "-o", written, "--to", first, "--json"))
        report(
            answer["annotations"] == count and answer["images"] == 12
            and answer["splits"] == {"training": 7, "validation": 3, "test": 2},
            f"COCO to {first}", json.dumps(answer["notCarried"]))
        for second in FORMATS:
            again, back = f"{root}/{first}-{second}", f"{root}/{first}-{second}-coco"
            graft("data", "convert", written, "-o", again, "--to", second, "--images", "copy")
            graft("data", "convert", again, "-o", back, "--to", "coco")
            files = sorted(os.listdir(f"{back}/annotations"))
            report(
                same(coco_boxes(back), boxes) and files == [f"instances_{s}.json" for s in sorted(SPLITS)],
                f"COCO to {first} to {second} to COCO: the same boxes and splits")

    order = [c["name"] for c in json.load(open(f"{root}/yolo-voc-coco/annotations/instances_train.json"))["categories"]]
    report(set(order) >= set(NAMES[:3]), "classes after YOLO and VOC", str(order))

    # pycocotools
    from pycocotools.coco import COCO

    coco = quiet(COCO, f"{root}/coco/annotations/instances_train.json")
    report(
        [c["name"] for c in coco.loadCats(coco.getCatIds())] == NAMES and coco.getCatIds() == [1, 3, 5, 7],
        "pycocotools: categories keep their numbers and order")
    report(len(coco.getAnnIds()) == sum(len(v) for k, v in boxes.items() if k.startswith("train")), "pycocotools: annotations")

    # torchvision
    torchvision = torchvision()
    for split, images in [("train", 7), ("val", 3), ("test", 2)]:
        # VOCDetection wants VOCdevkit/VOC2012.
        devkit = f"{root}/devkit/VOCdevkit"
        os.makedirs(devkit, exist_ok=True)
        if not os.path.exists(f"{devkit}/VOC2012"):
            os.symlink(f"{root}/voc", f"{devkit}/VOC2012")
        if split == "test":
            continue
        voc = torchvision.datasets.VOCDetection(f"{root}/devkit", year="2012", image_set=split)
        found = {}
        for image, target in voc:
            annotation = target["annotation"]
            file = annotation["filename"]
            found[file] = [
                (o["name"], *(float(o["bndbox"][k]) - (k in ("xmin", "ymin")) for k in ("xmin", "ymin", "xmax", "ymax")))
                for o in annotation.get("object", [])]
            if image.size != (int(annotation["size"]["width"]), int(annotation["size"]["height"])):
                found[file] = ["another size"]
        report(same(found, {k: v for k, v in boxes.items() if k.startswith(split)}), f"torchvision: VOCDetection, {split}")
    dataset = torchvision.datasets.CocoDetection(f"{root}/coco/images/val", f"{root}/coco/annotations/instances_val.json")
    report(len(dataset) == 3 and all(len(target) == len(boxes[f"val {i}.jpg"]) for i, (_, target) in enumerate(dataset)), "torchvision: CocoDetection")

    # TensorFlow's table and Create ML, by their definitions
    rows = list(csv.DictReader(open(f"{root}/csv/annotations.csv")))
    found = {}
    for row in rows:
        entry = found.setdefault(os.path.basename(row["filename"]), [])
        if row["class"]:
            entry.append((row["class"], *(float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax"))))
        Image.open(f"{root}/csv/{row['filename']}")
    report(same(found, boxes), "csv.DictReader: boxes, and images beside")
    for split in SPLITS:
        found = {}
        for entry in json.load(open(f"{root}/createml/{split}/_annotations.createml.json")):
            found[entry["image"]] = [
                (a["label"], c["x"] - c["width"] / 2, c["y"] - c["height"] / 2, c["x"] + c["width"] / 2, c["y"] + c["height"] / 2)
                for a in entry["annotations"] for c in [a["coordinates"]]]
        report(same(found, {k: v for k, v in boxes.items() if k.startswith(split)}), f"Create ML: {split}")

    # Ultralytics and datumaro, where they are installed
    try:
        from datumaro.components.dataset import Dataset
    except Exception as error:  # noqa: BLE001
        report.skip("datumaro", str(error)[:80])
    else:
        for name, kind in [("coco", "coco_instances"), ("voc", "voc_detection")]:
            if name == "voc":
                # Its own list of classes: graft writes none, for it marks sets that count pixels from 0.
                with open(f"{root}/voc/labelmap.txt", "w") as file:
                    file.writelines(f"{label}:::\n" for label in NAMES)
            dataset = Dataset.import_from(f"{root}/{name}", kind)
            found = sum(len([a for a in item.annotations if a.type.name in ("bbox", "polygon")]) for item in dataset)
            report(found == count and len(dataset) == 12, f"datumaro reads {kind}", f"{found} of {count} in {len(dataset)} images")
    try:
        import ultralytics  # noqa: F401
    except Exception as error:  # noqa: BLE001
        report.skip("Ultralytics", str(error)[:80])
    else:
        script = (
            "import sys\nfrom ultralytics.data.utils import check_det_dataset\nfrom ultralytics.data.dataset import YOLODataset\n"
            "d=check_det_dataset(sys.argv[1],autodownload=False)\n"
            "import json\nout={}\n"
            "for s in ('train','val'):\n"
            "    for l in YOLODataset(img_path=d[s],data=d,task=sys.argv[2]).get_labels():\n"
            "        out[l['im_file']]=[[float(v) for v in r] for r in __import__('numpy').concatenate([l['cls'],l['bboxes']],1)]\n"
            "print('\\n'+json.dumps({'names':d['names'],'labels':out}))\n")
        run = subprocess.run(
            [__import__("sys").executable, "-c", script, f"{root}/yolo/data.yaml", "detect"], capture_output=True, text=True)
        try:
            answer = json.loads(run.stdout.strip().splitlines()[-1])
            found = {}
            for file, values in answer["labels"].items():
                width, height = Image.open(file).size
                found[os.path.basename(file)] = [
                    (answer["names"][str(int(c))], (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
                    for c, x, y, w, h in values]
            report(same(found, {k: v for k, v in boxes.items() if not k.startswith("test")}, 1e-3), "Ultralytics reads the YOLO set")
        except (IndexError, ValueError):
            report(False, "Ultralytics reads the YOLO set", run.stderr[-300:])

    # Outlines
    outlined = f"{root}/outlined"
    boxes = make(outlined, polygons=True)
    graft("data", "convert", outlined, "-o", f"{root}/seg", "--to", "yolo")
    graft("data", "convert", f"{root}/seg", "-o", f"{root}/seg-coco", "--to", "coco")

    def outlines(folder):
        found = []
        for name in os.listdir(f"{folder}/annotations"):
            data = json.load(open(f"{folder}/annotations/{name}"))
            found += [np.array(a["segmentation"][0]) for a in data["annotations"]]
        return sorted(found, key=lambda p: (len(p), *p.round(3)))

    pairs = list(zip(outlines(outlined), outlines(f"{root}/seg-coco")))
    report(
        len(pairs) == sum(map(len, boxes.values())) and all(len(a) == len(b) and np.abs(a - b).max() < 1e-6 for a, b in pairs),
        "outlines through YOLO and back")
    lost = attempt("data", "convert", outlined, "-o", f"{root}/lost", "--to", "createml").stderr
    report(f"{len(pairs)} outlines" in lost, "outlines that Create ML cannot hold are counted", lost.splitlines()[-1][:80])

    # Label Studio's brush masks, written by their definition: runs of RGBA bytes in a stream of bits
    def brush(values, sizes=(3, 4, 8, 16)):
        bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
        at = 0
        while at < len(values):
            end = at
            while end + 1 < len(values) and values[end + 1] == values[at] and end + 1 - at < 1 << sizes[3]:
                end += 1
            length = end - at + 1
            which = next(i for i, size in enumerate(sizes) if length <= 1 << size)
            # A run has one value; a single byte is a list of one.
            bits += f"{int(length > 1)}{which:02b}{length - 1:0{sizes[which]}b}{values[at]:08b}"
            at = end + 1
        bits += "0" * (-len(bits) % 8)
        return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]

    brushed = f"{root}/brushed"
    os.makedirs(brushed)
    masks, tasks = {}, []
    for index in range(4):
        mask = np.random.default_rng(index).random((31, 43)) < (0.02, 0.5, 0.98, 0.0)[index]
        mask[5:20, 7 + index : 30] = True
        rgba = np.zeros((31, 43, 4), np.uint8)
        rgba[mask] = (40, index, 90, 255)
        masks[f"{index}.png"] = mask
        Image.new("RGB", (43, 31)).save(f"{brushed}/{index}.png")
        value = {"format": "rle", "rle": brush(rgba.reshape(-1).tolist()), "brushlabels": ["liver"]}
        tasks.append({
            "data": {"image": f"/data/upload/1/0a1b2c3d-{index}.png"},
            "annotations": [{"result": [{"type": "brushlabels", "original_width": 43, "original_height": 31, "value": value}]}]})
    json.dump(tasks, open(f"{brushed}/project.json", "w"))
    graft("data", "convert", brushed, "-o", f"{root}/brush-coco", "--to", "coco")
    coco = quiet(COCO, f"{root}/brush-coco/annotations/instances_default.json")
    found = {coco.imgs[a["image_id"]]["file_name"]: coco.annToMask(a) > 0 for a in coco.anns.values()}
    report(
        sorted(found) == sorted(masks) and all((found[name] == mask).all() for name, mask in masks.items()),
        "pycocotools: Label Studio's brush masks, every pixel")

    # Nothing is overwritten, and nothing half-written stays.
    report("already exists" in complaint("data", "convert", source, "-o", f"{root}/coco", "--to", "voc"), "an existing folder is refused")
    broken = f"{root}/broken"
    os.makedirs(broken)
    before = set(os.listdir(root))
    complaint("data", "convert", broken, "-o", f"{root}/none", "--to", "voc")
    report(set(os.listdir(root)) == before, "a set that cannot be read leaves nothing behind")

    # Class folders
    folders = f"{root}/folders"
    for split in ["train", "val"]:
        for label in ["b", "a"]:
            os.makedirs(f"{folders}/{split}/{label}")
            for index in range(3):
                Image.new("RGB", (40, 30), (index * 40, 7, 90)).save(f"{folders}/{split}/{label}/{split}{label}{index}.png")
    graft("data", "convert", folders, "-o", f"{root}/table", "--to", "csv")
    graft("data", "convert", f"{root}/table", "-o", f"{root}/again", "--to", "folders")
    tree = lambda top: sorted(os.path.relpath(os.path.join(d, f), top) for d, _, fs in os.walk(top) for f in fs)  # noqa: E731
    report(tree(f"{root}/again") == tree(folders), "class folders to CSV and back")
    report(len(torchvision.datasets.ImageFolder(f"{root}/again/train")) == 6, "torchvision: ImageFolder")
    report("labels of whole images" in complaint("data", "convert", folders, "-o", f"{root}/x", "--to", "coco"), "labels without boxes are no COCO set")

report.finish()
