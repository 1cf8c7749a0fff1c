"""Transfer learning against PyTorch (channels_last): the same work, equal results proven first, ratios of medians.

$GRAFT is the program; $PHOTOS photos in folders by class (drawn ones without); ROUNDS, COUNT and EPOCHS make it longer or shorter."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import numpy as np

import _machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests/Conformance"))
GRAFT = os.environ.get("GRAFT", ".build/release/graft")
ROUNDS = int(os.environ.get("ROUNDS", "3"))
COUNT = int(os.environ.get("COUNT", "240"))
EPOCHS = int(os.environ.get("EPOCHS", "20"))
folder = Path(tempfile.mkdtemp(prefix="graft-bench-"))


def graft(*arguments, cache):
    """Seconds, CPU seconds, peak MB of one run of the program."""
    environment = dict(os.environ, GRAFT_CACHE=str(cache))
    began = time.perf_counter()
    process = subprocess.Popen([GRAFT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {errors.strip()}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


# The peers run in processes of their own, so that start-up, memory and threads are theirs alone.
PEER = r'''
import json, os, sys, time
import numpy as np
kind, job, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, arguments["conformance"])
from PIL import Image


def decode(path):
    image = Image.open(path).convert("RGB")
    w, h = image.size
    size = (256, int(h * 256 / w)) if w <= h else (int(w * 256 / h), 256)
    image = image.resize(size, Image.BICUBIC)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


paths, labels = arguments["paths"], np.array(arguments["labels"])
from _peers import torchvision as load
load()
import timm, torch
from safetensors.torch import load_file
torch.set_num_threads(arguments["threads"])
model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
model.load_state_dict(load_file(arguments["backbone"]), strict=False)
model = model.eval().to(memory_format=torch.channels_last)


def batch(chosen):
    x = torch.from_numpy(np.stack([decode(p) for p in chosen])).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def features(x):
    return model.forward_head(model.forward_features(x), pre_logits=True)


began = time.perf_counter()
answer = {}
if job == "features":
    with torch.inference_mode():
        rows = np.concatenate([features(batch(paths[s : s + 8])).numpy() for s in range(0, len(paths), 8)])
    np.save(arguments["output"], rows)
elif job == "head":
    # The frameworks' own recipe: the frozen network runs in every epoch.
    head = torch.nn.Linear(1280, int(labels.max()) + 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for epoch in range(arguments["epochs"]):
        for index in torch.randperm(len(paths)).split(32):
            with torch.no_grad():
                x = features(batch([paths[i] for i in index]))
            loss = torch.nn.functional.cross_entropy(head(x), torch.from_numpy(labels)[index])
            optimizer.zero_grad(); loss.backward(); optimizer.step()
elif job == "cached":
    # The fair row: features computed once by hand.
    with torch.inference_mode():
        kept = torch.cat([features(batch(paths[s : s + 32])) for s in range(0, len(paths), 32)]).clone()
    head = torch.nn.Linear(1280, int(labels.max()) + 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for epoch in range(arguments["epochs"]):
        for index in torch.randperm(len(paths)).split(32):
            loss = torch.nn.functional.cross_entropy(head(kept[index]), torch.from_numpy(labels)[index])
            optimizer.zero_grad(); loss.backward(); optimizer.step()
elif job in ("step", "tail"):
    # Forward, backward and update of a batch of 8, BatchNorm frozen; of all, or of the last two stages.
    x = batch(paths[:8])
    learned = list(model.parameters()) if job == "step" else [p for part in (model.blocks[-1], model.conv_head, model.bn2, model.classifier) for p in part.parameters()]
    run = model
    if job == "tail":
        with torch.inference_mode():
            x = model.blocks[:-1](model.bn1(model.conv_stem(x))).clone()
        x = x.clone()
        run = lambda v: model.classifier(model.global_pool(model.bn2(model.conv_head(model.blocks[-1](v)))))
    for p in model.parameters():
        p.requires_grad_(False)
    for p in learned:
        p.requires_grad_(True)
    times = []
    for turn in range(arguments["runs"] + 2):
        start = time.perf_counter()
        loss = torch.nn.functional.cross_entropy(run(x), torch.zeros(8, dtype=torch.long))
        for p in learned:
            p.grad = None
        loss.backward()
        times.append(time.perf_counter() - start)
    answer["milliseconds"] = sorted(times[2:])[len(times[2:]) // 2] * 1000
answer["seconds"] = time.perf_counter() - began
print(json.dumps(answer))
'''
(folder / "peer.py").write_text(PEER)


def peer(job, arguments):
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(folder / "peer.py"), "torch", job, json.dumps(arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(errors[-2000:])
    answer = json.loads(output)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, answer["seconds"], answer.get("milliseconds")


def row(name, ours, theirs, what):
    """Medians of seconds, their ratio, CPU and memory; the peer's without its imports, to be fair to it."""
    mine, other = statistics.median(o[0] for o in ours), statistics.median(t[3] for t in theirs)
    print(f"{name:<44} graft {mine:7.2f} s  {what} {other:7.2f} s  ratio {other / mine:5.2f}x   "
          f"CPU {statistics.median(o[1] for o in ours):.1f} / {statistics.median(t[1] for t in theirs):.1f} s   "
          f"peak {max(o[2] for o in ours):.0f} / {max(t[2] for t in theirs):.0f} MB", flush=True)


root = Path(os.environ["PHOTOS"]) if os.environ.get("PHOTOS") else folder / "photos"
if not os.environ.get("PHOTOS"):
    subprocess.run([GRAFT, "draw", root, "--classes", "4", "--count", str(COUNT // 4), "--size", "400"], check=True, capture_output=True)
graft("convert", "timm/tf_efficientnet_lite0", "-o", folder / "bb.safetensors", cache=folder / "cache")
classes = sorted(p.name for p in root.iterdir() if p.is_dir())
(folder / "set").mkdir()
paths, labels = [], []
for k, name in enumerate(classes):
    (folder / "set" / name).mkdir()
    for photo in sorted((root / name).iterdir())[: COUNT // len(classes)]:
        target = folder / "set" / name / photo.name
        target.write_bytes(photo.read_bytes())
        paths.append(str(target))
        labels.append(k)
threads = len(os.sched_getaffinity(0))
common = {"paths": paths, "labels": labels, "backbone": str(folder / "bb.safetensors"), "threads": threads, "epochs": EPOCHS,
          "output": str(folder / "theirs.npy"), "conformance": str(Path(__file__).resolve().parent.parent / "Tests/Conformance")}
print(_machine.line(GRAFT))
print(f"{len(paths)} photos, {len(classes)} classes, {threads} threads, {ROUNDS} rounds, load {os.getloadavg()[0]:.1f}")

# Equal outputs first: no time is printed where they differ.
graft("features", folder / "bb.safetensors", folder / "set", "-o", folder / "ours.npy", cache=folder / "cache")
peer("features", common)
ours, theirs = np.load(folder / "ours.npy"), np.load(folder / "theirs.npy")
apart = np.abs(ours - theirs).max() / np.abs(theirs).max()
print(f"features of graft and PyTorch differ by {apart:.1e} of the largest")
# Pillow and libjpeg round differently by one level here and there.
if apart > 0.05:
    sys.exit("FAIL they are not the same: nothing is measured")

jobs = {"features": [], "head": [], "kept": [], "cached": []}
peers = {"features": [], "head": [], "cached": []}
for turn in range(ROUNDS):
    jobs["features"].append(graft("features", folder / "bb.safetensors", folder / "set", "-o", folder / "ours.npy", cache=folder / "cache"))
    peers["features"].append(peer("features", common))
    train = ["train", folder / "set", "--backbone", folder / "bb.safetensors", "--epochs", EPOCHS, "--patience", 0, "--fraction", "0.02", "--overwrite", "-o", folder / "run"]
    jobs["head"].append(graft(*train, cache=folder / f"cache{turn}"))
    jobs["kept"].append(graft(*train, "--seed", 1, cache=folder / f"cache{turn}"))
    peers["cached"].append(peer("cached", common))
    if turn == 0:
        peers["head"].append(peer("head", common))
row("feature extraction from JPEGs", jobs["features"], peers["features"], "PyTorch")
row(f"{EPOCHS} epochs of a frozen head, first run", jobs["head"], peers["head"], "PyTorch")
row("   against PyTorch with features kept by hand", jobs["head"], peers["cached"], "PyTorch")
row("   another seed: the features are kept", jobs["kept"], peers["head"], "PyTorch")

# A step of fine-tuning: forward and backward of a batch of 8, in turns.
common["runs"] = 10
for name, job, extra in (("step of the last two stages", "tail", ["--unfreeze", 2]), ("step of the whole network", "step", [])):
    ours, theirs = [], []
    for turn in range(ROUNDS):
        output = graft("bench", folder / "bb.safetensors", "--train", "--batch", 8, "--runs", 10, "--json", *extra, cache=folder / "cache")
        ours.append((json.loads(output[3])["median_ms"], output[2]))
        other = peer(job, common)
        theirs.append((other[4], other[2]))
    mine, other = statistics.median(o[0] for o in ours), statistics.median(t[0] for t in theirs)
    print(f"{name:<44} graft {mine:7.1f} ms PyTorch {other:7.1f} ms ratio {other / mine:5.2f}x   peak {max(o[1] for o in ours):.0f} / {max(t[1] for t in theirs):.0f} MB", flush=True)
shutil.rmtree(folder)
