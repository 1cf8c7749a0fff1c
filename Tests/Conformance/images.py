"""graft preprocess against Pillow, torchvision's transforms and tf.image.resize, number for number."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps

from _peers import torchvision

graft = os.environ["GRAFT"]
folder = pathlib.Path(tempfile.mkdtemp())
rng = np.random.default_rng(1)
failed = 0


def ours(photo, *options):
    out = folder / "x.npy"
    subprocess.run([graft, "preprocess", str(photo), "-o", str(out), *map(str, options)], check=True)
    return np.load(out)


def check(name, got, want, tolerance=0.0):
    global failed
    same = got.shape == want.shape
    worst = float(np.abs(got.astype(np.float64) - want).max()) if same else float("nan")
    good = same and worst <= tolerance
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: worst {worst:.3g} (allowed {tolerance:g})")


def chw(image):
    return np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None]


def pillow(image, size, kernel):
    """Image.resize with its passes in the order that every Pillow before 13 has, x and then y.

    Pillow 13 (pull request 9549) goes y first where that is cheaper, and rounds otherwise; the
    weights that there are were trained with the former order.
    """
    if kernel == Image.NEAREST:
        return image.resize(size, kernel)
    return image.resize((size[0], image.height), kernel).resize(size, kernel)


def center(image, side, crop, kernel):
    """torchvision.transforms.Resize(side), CenterCrop(crop)."""
    w, h = image.size
    size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    image = pillow(image, size, kernel)
    left, top = int(round((size[0] - crop) / 2.0)), int(round((size[1] - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


# A smooth picture with noise on it, as PNG (exact) and JPEG.
yy, xx = np.mgrid[0:375, 0:500]
base = np.stack([xx / 2, yy / 1.5, (xx + yy) / 4], -1) + rng.normal(0, 30, (375, 500, 3))
photo = Image.fromarray(base.clip(0, 255).astype(np.uint8))
noise = Image.fromarray(rng.integers(0, 256, (321, 203, 3), dtype=np.uint8))
tiny = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8))
pictures = {}
for name, image in {"photo": photo, "noise": noise, "tiny": tiny}.items():
    image.save(folder / f"{name}.png")
    pictures[name] = (image, folder / f"{name}.png")

kernels = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
for name, (image, path) in pictures.items():
    for kernel, pil in kernels.items():
        for size in (64, 224, 299):
            check(f"Pillow {kernel} {name} to {size}",
                  ours(path, "--normalize", "pass-through", "--kernel", kernel, "--size", size),
                  chw(pillow(image, (size, size), pil)))
        check(f"Pillow {kernel} {name} shorter side 256, centre 224",
              ours(path, "--normalize", "pass-through", "--kernel", kernel, "--size", 224, "--shorter-side", 256),
              chw(center(image, 256, 224, pil)))

for options in ({"quality": 90}, {"quality": 60, "subsampling": 2, "progressive": True}, {"quality": 95, "subsampling": 0}):
    path = folder / "photo.jpg"
    photo.save(path, **options)
    back = Image.open(path)
    got = ours(path, "--normalize", "pass-through", "--size", 375, "--shorter-side", 375, "--kernel", "bilinear")
    want = chw(center(back.convert("RGB"), 375, 375, Image.BILINEAR))
    check(f"JPEG {options}: mean difference", np.abs(got - want).mean(), np.zeros(()), 0.01)
    check(f"JPEG {options}", got, want, 3)

mean, std = np.array([0.485, 0.456, 0.406])[:, None, None], np.array([0.229, 0.224, 0.225])[:, None, None]
want = (chw(center(photo, 256, 224, Image.BILINEAR)) / 255.0 - mean) / std
check("ImageNet evaluation as torchvision has it",
      ours(pictures["photo"][1], "--shorter-side", 256, "--kernel", "bilinear"), want, 1e-6)
spec = {"resize": "shorter-side", "shorterSide": 256, "kernel": "bicubic", "height": 224, "width": 224,
        "normalization": {"channels": "rgb", "scale": 1 / 255, "mean": [0.5] * 3, "std": [0.5] * 3}}
want = (chw(center(photo, 256, 224, Image.BICUBIC)) / 255.0 - 0.5) / 0.5
check("EfficientNet-Lite0 as its author has it", ours(pictures["photo"][1], "--spec", json.dumps(spec)), want, 1e-6)

torchvision()
from torchvision import transforms  # noqa: E402

pipeline = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                               transforms.Normalize(mean.ravel().tolist(), std.ravel().tolist())])
check("torchvision.transforms", ours(pictures["photo"][1], "--shorter-side", 256, "--kernel", "bilinear"),
      pipeline(photo)[None].numpy(), 1e-6)



def turned(box, width, height, orientation):
    """A box of an image of this size once the image was turned as exif_transpose turns it."""
    left, top, right, bottom = box
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation > 4 else (left, top, right, bottom)


def boxed(image, box, size, kernel):
    """Image.resize(size, kernel, box) with the passes in the order of `pillow`."""
    left, top, right, bottom = box
    wide = image.resize((size[0], image.height), kernel, box=(left, 0, right, image.height))
    return wide.resize(size, kernel, box=(0, top, size[0], bottom))


def reduced(path, factor, orientation, side, crop, kernel):
    """What Pillow's draft mode makes of a JPEG: decoded at a fraction, resized from the box that its sides end in."""
    image = Image.open(path)
    whole = image.size
    _, box = image.draft("RGB", (whole[0] // factor, whole[1] // factor))
    assert image.size[0] == -(-whole[0] // factor), (image.size, whole, factor)
    image = image.convert("RGB")
    box = turned(box, *image.size, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    image = ImageOps.exif_transpose(image)
    w, h = whole if orientation < 5 else whole[::-1]
    if not side:
        return boxed(image, box, (crop, crop), kernel)
    size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    image = boxed(image, box, size, kernel)
    left, top = int(round((size[0] - crop) / 2.0)), int(round((size[1] - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


for name in ("arithmetic.jpg", "arithmetic-progressive.jpg"):
    path = pathlib.Path(__file__).parent.parent / "Fixtures" / "images" / name
    for crop, factor in ((11, 2), (5, 4), (2, 8)):
        got = ours(path, "--normalize", "pass-through", "--size", crop, "--kernel", "bilinear", "--reduced")
        check(f"{name} by {factor}", got, chw(reduced(path, factor, 1, None, crop, Image.BILINEAR)), 1)

# Large JPEGs are decoded at a half, a quarter or an eighth, as Pillow's draft mode does; what Pillow makes of the whole image is
# near: an average in the frequency domain for one of the pixels.
spread = []
KINDS = ((32, None, "bilinear"), (28, 37, "bicubic"), (60, 64, "bilinear"), (63, None, "lanczos"))
for index, (width, height) in enumerate(((517, 389), (1031, 777), (1023, 781), (641, 2000), (2000, 643))):
    yy, xx = np.mgrid[0:height, 0:width]
    base = np.stack([xx * 255 / width, yy * 255 / height, 128 + 90 * np.sin(xx / 19) * np.cos(yy / 17)], -1)
    image = Image.fromarray((base + rng.normal(0, 12, base.shape)).clip(0, 255).astype(np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = folder / f"{width}x{height}-{orientation}.jpg"
        image.save(path, quality=90, exif=exif, progressive=orientation % 2 == 0, subsampling=orientation % 3)
        for crop, side, kernel in (KINDS[(orientation + index) % 4],):
            factor = next((f for f in (8, 4, 2) if min(width, height) // f >= 2 * max(crop, side or 0)), 1)
            options = ["--normalize", "pass-through", "--size", crop, "--kernel", kernel]
            options += ["--shorter-side", side] if side else []
            got = ours(path, *options, "--reduced")
            want = reduced(path, factor, orientation, side, crop, kernels[kernel])
            check(f"draft of {width} x {height} by {factor}, orientation {orientation}, {kernel}", got, chw(want), 1)
            exact = ours(path, *options)
            spread.append((factor, np.abs(got - exact).max(), np.abs(got - exact).mean()))
for factor in sorted({f for f, _, _ in spread}):
    worst, mean = (max(s[i] for s in spread if s[0] == factor) for i in (1, 2))
    check(f"by {factor}: the mean difference from the whole image (worst pixel {worst:.0f})", np.float64(mean), np.zeros(()), 1.0)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import tensorflow as tf  # noqa: E402
import keras  # noqa: E402

for name, (image, path) in pictures.items():
    for size in (96, 224, 331):
        resized = tf.image.resize(np.asarray(image), (size, size), method="bilinear", antialias=False).numpy()
        check(f"tf.image.resize {name} to {size}",
              ours(path, "--normalize", "pass-through", "--kernel", "tensorflow-bilinear", "--size", size),
              resized.transpose(2, 0, 1)[None], 1e-4)
        for mode in ("caffe", "tf", "torch"):
            want = keras.applications.imagenet_utils.preprocess_input(resized.copy(), mode=mode)
            check(f"keras {mode} {name} at {size}",
                  ours(path, "--normalize", mode, "--kernel", "tensorflow-bilinear", "--size", size),
                  np.asarray(want).transpose(2, 0, 1)[None], 1e-4)

print("images:", "all agree" if not failed else f"{failed} disagree")
sys.exit(failed > 0)
