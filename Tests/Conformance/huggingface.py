"""Data sets that the Hub's own library writes, read by graft: images and labels as `datasets` has them."""
import csv
import json
import os
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from _graft import graft, report

os.environ["HF_HUB_OFFLINE"] = "1"
# A script beside this one has the library's name.
here = sys.path.pop(0)
import datasets  # noqa: E402

sys.path.insert(0, here)

datasets.disable_progress_bars()
NAMES = ["zebra", "ant", "fox"]


def picture(seed, size=(40, 30)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


def table(folder, out):
    """What graft reads, by the pixels of each image: its labels and its split."""
    graft("data", "convert", folder, "-o", out, "--to", "csv", "--images", "copy")
    found = {}
    for row in csv.DictReader(open(f"{out}/labels.csv")):
        pixels = np.asarray(Image.open(f"{out}/{row['path']}").convert("RGB")).tobytes()
        found[pixels] = (row.get("label") or row.get("labels"), row.get("split"))
    return found


with tempfile.TemporaryDirectory() as root:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    for codec in ["snappy", "zstd", "none"]:
        os.makedirs(f"{root}/{codec}/data")
        expected = {}
        for split, first, count in [("train", 0, 25), ("validation", 100, 10), ("test", 200, 8)]:
            images = [picture(first + i) for i in range(count)]
            data = datasets.Dataset.from_dict({"image": images, "label": [i % 3 for i in range(count)]}, features=features)
            path = f"{root}/{codec}/data/{split}-00000-of-00001.parquet"
            data.to_parquet(path)
            pq.write_table(pq.read_table(path), path, compression=codec, row_group_size=7)
            short = {"validation": "val"}.get(split, split)
            for i, image in enumerate(images):
                expected[np.asarray(image).tobytes()] = (NAMES[i % 3], short)
        report(table(f"{root}/{codec}", f"{root}/{codec}-out") == expected, f"ClassLabel and splits, {codec}")

    # Several labels for an image
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.Sequence(datasets.ClassLabel(names=NAMES))})
    images = [picture(300 + i) for i in range(12)]
    labels = [[i % 3] if i % 2 else [0, i % 3] for i in range(12)]
    datasets.Dataset.from_dict({"image": images, "labels": labels}, features=features).to_parquet(f"{root}/multi.parquet")
    expected = {np.asarray(p).tobytes(): ("|".join(sorted({NAMES[k] for k in ks})), None) for p, ks in zip(images, labels)}
    report(table(f"{root}/multi.parquet", f"{root}/multi-out") == expected, "lists of ClassLabel are several labels")

    # Objects
    features = datasets.Features({
        "image": datasets.Image(),
        "objects": {"bbox": datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=4)),
                    "category": datasets.Sequence(datasets.ClassLabel(names=NAMES))}})
    images = [picture(400 + i) for i in range(9)]
    objects = [{"bbox": [[k, 2 * k, 10.5, 8] for k in range(i % 4)], "category": [k % 3 for k in range(i % 4)]} for i in range(9)]
    datasets.Dataset.from_dict({"image": images, "objects": objects}, features=features).to_parquet(f"{root}/objects.parquet")
    graft("data", "convert", f"{root}/objects.parquet", "-o", f"{root}/coco", "--to", "coco")
    coco = json.load(open(f"{root}/coco/annotations/instances_default.json"))
    names = {c["id"]: c["name"] for c in coco["categories"]}
    found = {}
    for entry in coco["images"]:
        key = np.asarray(Image.open(f"{root}/coco/images/{entry['file_name']}").convert("RGB")).tobytes()
        found[key] = [(names[a["category_id"]], a["bbox"]) for a in coco["annotations"] if a["image_id"] == entry["id"]]
    expected = {
        np.asarray(p).tobytes(): [(NAMES[c], b) for c, b in zip(o["category"], o["bbox"])] for p, o in zip(images, objects)}
    report(found == expected and list(names.values()) == NAMES, "objects are boxes with classes")

    # Image folders with metadata, as `load_dataset("imagefolder")` reads them
    for kind in ["csv", "jsonl"]:
        folder = f"{root}/folder-{kind}"
        for split, first in [("train", 500), ("test", 600)]:
            os.makedirs(f"{folder}/{split}/inner")
            rows = []
            for i in range(6):
                name = f"{'inner/' if i % 2 else ''}{i}.png"
                picture(first + i).save(f"{folder}/{split}/{name}")
                rows.append({"file_name": name, "label": NAMES[i % 3]})
            with open(f"{folder}/{split}/metadata.{kind}", "w") as file:
                if kind == "csv":
                    writer = csv.DictWriter(file, ["file_name", "label"])
                    writer.writeheader()
                    writer.writerows(rows)
                else:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
        theirs = datasets.load_dataset("imagefolder", data_dir=folder, cache_dir=f"{root}/cache")
        expected = {
            np.asarray(row["image"].convert("RGB")).tobytes(): (row["label"] if isinstance(row["label"], str) else theirs[split].features["label"].int2str(row["label"]), split)
            for split in theirs for row in theirs[split]}
        report(len(expected) == 12 and table(folder, f"{root}/{kind}-out") == expected, f"image folder with metadata.{kind}")

report.finish()
