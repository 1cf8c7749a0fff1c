"""Real photos, real weights: the same recipes in graft and in PyTorch, the same split, three seeds.

Needs the clothing photos ($CLOTHING, a folder with train/, validation/ and test/) and EfficientNet-Lite0;
it takes minutes, so it runs with CONFORMANCE=all only."""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

photos = Path(os.environ.get("CLOTHING", "../shared/data/clothing"))
if os.environ.get("CONFORMANCE") != "all":
    print("ok   skipped: CONFORMANCE=all asks for it")
    sys.exit(0)
if not (photos / "test").is_dir():
    print(f"ok   skipped: no photos at {photos}")
    sys.exit(0)

GRAFT = os.environ["GRAFT"]
SEEDS = [int(s) for s in os.environ.get("SEEDS", "0 1 2").split()]
EPOCHS = int(os.environ.get("EPOCHS", "3"))
folder = Path(tempfile.mkdtemp(prefix="graft-clothing-"))
cache = dict(os.environ, GRAFT_CACHE=os.environ.get("GRAFT_CACHE", str(folder / "cache")))


def graft(*arguments):
    began = time.time()
    result = subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True, env=cache)
    if result.returncode != 0:
        raise RuntimeError(f"graft {' '.join(map(str, arguments))}: {result.stderr.strip()}")
    return result.stdout, time.time() - began


from _peers import torchvision as load

load()
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression

from safetensors.torch import load_file

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
graft("convert", "timm/tf_efficientnet_lite0", "-o", folder / "bb.safetensors")


def lite0():
    """timm's network with the published weights, which graft has proven equal to timm's (predict.py)."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    missing, unexpected = model.load_state_dict(load_file(folder / "bb.safetensors"), strict=False)
    assert not unexpected and all("num_batches" in name for name in missing), (missing, unexpected)
    return model


classes = sorted(p.name for p in (photos / "train").iterdir())


def images(side):
    x, y = [], []
    for k, name in enumerate(classes):
        for path in sorted((photos / side / name).glob("*.jpg")):
            image = Image.open(path).convert("RGB")
            w, h = image.size
            scale = 256 / min(w, h)
            size = (256, int(h * 256 / w)) if w <= h else (int(w * 256 / h), 256)
            image = image.resize(size, Image.BICUBIC)
            left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
            x.append(np.asarray(image.crop((left, top, left + 224, top + 224))))
            y.append(k)
    return torch.from_numpy(np.stack(x)), np.array(y)


def batches(x, order, size):
    for start in range(0, len(order), size):
        index = order[start : start + size]
        yield index, (x[index].permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def features(model, x):
    with torch.inference_mode():
        return np.concatenate([model.forward_head(model.forward_features(b), pre_logits=True).numpy() for _, b in batches(x, np.arange(len(x)), 32)])


def accuracy(model, x, y):
    with torch.inference_mode():
        logits = np.concatenate([model(b).numpy() for _, b in batches(x, np.arange(len(x)), 32)])
    return (logits.argmax(1) == y).mean()


def graft_accuracy(run):
    answer, _ = graft("evaluate", run / "model.safetensors", photos / "test", "--json")
    return json.loads(answer)["accuracy"]


train, train_y = images("train")
held, held_y = images("validation")
test, test_y = images("test")
failures = 0


def compare(name, ours, theirs, slack):
    """The mean of graft's test accuracies is at least PyTorch's, but for what `slack` photos are worth.

    Each photo is one yes or no: the error of a mean over n photos is √(p(1 − p)/n). The test photos are the same
    for all seeds, so that more seeds make the training surer but not the photos more."""
    global failures
    ours, theirs = np.array(ours), np.array(theirs)
    ok = bool(ours.mean() >= theirs.mean() - slack / len(test_y) - 1e-12)
    failures += not ok
    p = theirs.mean()
    print(
        f"{'ok  ' if ok else 'FAIL'} {name}: test accuracy graft {ours.mean():.4f} ({', '.join(f'{a:.4f}' for a in ours)}), "
        f"PyTorch {theirs.mean():.4f} ({', '.join(f'{a:.4f}' for a in theirs)}); {len(test_y)} photos, "
        f"one is {1 / len(test_y):.4f}, binomial error ±{(p * (1 - p) / len(test_y)) ** 0.5:.4f}",
        flush=True,
    )


class Random:
    """graft's random numbers: xoshiro256** seeded by SplitMix64, so that a seed means the same head and the same batches."""

    M = (1 << 64) - 1

    def __init__(self, seed):
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & self.M
            w = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & self.M
            w = ((w ^ (w >> 27)) * 0x94D049BB133111EB) & self.M
            self.s.append(w ^ (w >> 31))

    def next(self):
        s, turn = self.s, lambda w, n: ((w << n) | (w >> (64 - n))) & self.M
        result = (turn((s[1] * 5) & self.M, 7) * 9) & self.M
        shifted = (s[1] << 17) & self.M
        s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= shifted
        s[3] = turn(s[3], 45)
        return result

    def below(self, bound):
        product = self.next() * bound
        if product & self.M < bound:
            threshold = (2**64 - bound) % bound
            while product & self.M < threshold:
                product = self.next() * bound
        return product >> 64

    def permutation(self, count):
        order = list(range(count))
        for i in range(count - 1, 0, -1):
            j = self.below(i + 1)
            order[i], order[j] = order[j], order[i]
        return order

    def glorot(self, outputs, inputs):
        limit = np.float32((6 / (inputs + outputs)) ** 0.5)
        unit = np.array([self.next() >> 40 for _ in range(outputs * inputs)], "float32") * np.float32(2**-24)
        return ((2 * unit - 1) * limit).reshape(outputs, inputs)


# Frozen backbone, logistic regression, its penalty chosen on the validation photos: convex, one answer.
began = time.time()
base = lite0().eval().to(memory_format=torch.channels_last)
f, v, t = features(base, train), features(base, held), features(base, test)
mean, scale = f.mean(0), ((f - f.mean(0)) ** 2).mean() ** 0.5
tried = []
for penalty in [10 ** (-step / 2) for step in range(13)]:
    head = LogisticRegression(C=1 / (penalty * len(f)), max_iter=2000).fit((f - mean) / scale, train_y)
    tried.append((head.score((v - mean) / scale, held_y), -len(tried), head))
best = max(tried, key=lambda entry: entry[:2])[2]
theirs, their_time = best.score((t - mean) / scale, test_y), time.time() - began
_, first = graft("train", photos / "train", "--validation", photos / "validation", "--backbone", folder / "bb.safetensors",
                 "--head", "logistic", "-o", folder / "features")
_, again = graft("train", photos / "train", "--validation", photos / "validation", "--backbone", folder / "bb.safetensors",
                 "--head", "logistic", "--overwrite", "-o", folder / "features")
compare("features and a logistic head", [graft_accuracy(folder / "features")], [theirs], 1)
print(f"     graft {first:.1f} s, with features kept {again:.1f} s; PyTorch and scikit-learn {their_time:.1f} s")

# The last stages and the head learn, BatchNorm frozen: AdamW, one cycle, the best epoch by validation accuracy.
# What is frozen runs once in PyTorch too: the numbers are the same as if it ran in every step.
def cut(x):
    with torch.inference_mode():
        return torch.cat([base.blocks[:-1](base.bn1(base.conv_stem(b))).contiguous() for _, b in batches(x, np.arange(len(x)), 32)]).clone()


train_cut, held_cut, test_cut = cut(train), cut(held), cut(test)
ours, theirs, times = [], [], []
for seed in SEEDS:
    _, seconds = graft(
        "train", photos / "train", "--validation", photos / "validation", "--backbone", folder / "bb.safetensors",
        "--mode", "finetune", "--unfreeze", 2, "--epochs", EPOCHS, "--batch", 32, "--optimizer", "adamw", "--weight-decay", 0.01,
        "--learning-rate", 1e-3, "--schedule", "cosine", "--patience", 0, "--seed", seed, "-o", folder / f"fine{seed}")
    times.append(seconds)
    ours.append(graft_accuracy(folder / f"fine{seed}"))
    random = Random(seed)
    model = lite0()
    model.reset_classifier(len(classes))
    model.classifier.weight.data = torch.from_numpy(random.glorot(len(classes), 1280))
    torch.nn.init.zeros_(model.classifier.bias)
    model.eval()  # BatchNorm stays as it is.
    learned = [p for part in (model.blocks[-1], model.conv_head, model.bn2, model.classifier) for p in part.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in learned if p.ndim > 1], "weight_decay": 0.01}, {"params": [p for p in learned if p.ndim == 1], "weight_decay": 0}], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(train) // 32))

    def rest(x):
        return model.classifier(model.global_pool(model.bn2(model.conv_head(model.blocks[-1](x)))))

    def score(x, y):
        """Accuracy, and of equal ones the lower loss is the better."""
        with torch.inference_mode():
            logits = torch.cat([rest(x[s : s + 64]) for s in range(0, len(x), 64)])
            return (logits.argmax(1).numpy() == y).mean(), -F.cross_entropy(logits, torch.from_numpy(y)).item()

    best, kept, losses = (-1, 0), None, []
    for epoch in range(EPOCHS):
        order, total = torch.tensor(random.permutation(len(train))), 0.0
        for index in order.split(32):
            random.next()  # What graft seeds its dropout with, which is off.
            loss = F.cross_entropy(rest(train_cut[index]), torch.from_numpy(train_y)[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        losses.append(total / len(train))
        now = score(held_cut, held_y)
        if now > best:
            best, kept = now, {k: p.clone() for k, p in model.state_dict().items()}
    model.load_state_dict(kept)
    theirs.append(score(test_cut, test_y)[0])
    mine = [float(line.split(",")[1]) for line in (folder / f"fine{seed}/log.csv").read_text().splitlines()[1:]]
    gaps = [abs(a - b) / b for a, b in zip(mine, losses)]
    # The same head, batches and steps: the losses of the epochs are the same but for what rounding grows into.
    ok = len(mine) == len(losses) and gaps[0] <= 0.01 and max(gaps) <= 0.1
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} seed {seed}: training losses of the epochs {', '.join(f'{m:.4f}' for m in mine)}, "
          f"PyTorch {', '.join(f'{t:.4f}' for t in losses)}", flush=True)
compare(f"fine-tuning the last stages, {EPOCHS} epochs, {len(SEEDS)} seeds", ours, theirs, 1)
print(f"     graft {', '.join(f'{s:.1f}' for s in times)} s: the first run computes what is frozen, the others find it kept")
sys.exit(1 if failures else 0)
