"""The operations of RandAugment and TrivialAugment against Pillow's, and blur against scikit-image's, at fixed amounts."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

GRAFT = os.environ["GRAFT"]
folder = Path(tempfile.mkdtemp(prefix="graft-augment-"))
failures = 0
subprocess.run([GRAFT, "draw", folder / "photos", "--classes", "2", "--count", "1", "--size", "97"], check=True, stdout=subprocess.DEVNULL)
photo = folder / "photos/square/0000.png"
source = Image.open(photo).convert("RGB")


def enhance(kind):
    return lambda image, amount: kind(image).enhance(amount)


OPERATIONS = [
    ("brightness", enhance(ImageEnhance.Brightness), [0.3, 1, 1.7]), ("contrast", enhance(ImageEnhance.Contrast), [0.3, 1.6]),
    ("saturation", enhance(ImageEnhance.Color), [0, 0.5, 1.9]), ("sharpness", enhance(ImageEnhance.Sharpness), [0.2, 1.8]),
    ("posterize", lambda i, a: ImageOps.posterize(i, int(a)), [2, 5, 8]), ("solarize", lambda i, a: ImageOps.solarize(i, a), [50, 128, 255]),
    ("autocontrast", lambda i, a: ImageOps.autocontrast(i), [0]), ("equalize", lambda i, a: ImageOps.equalize(i), [0]),
]
for name, peer, amounts in OPERATIONS:
    for amount in amounts:
        subprocess.run([GRAFT, "augment", photo, "-o", folder / "o.png", "--operation", name, "--amount", str(amount)],
                       check=True, stdout=subprocess.DEVNULL)
        ours = np.asarray(Image.open(folder / "o.png").convert("RGB")).astype(int)
        worst = int(np.abs(ours - np.asarray(peer(source, amount)).astype(int)).max())
        failures += worst > 1
        print(f"{'ok  ' if worst <= 1 else 'FAIL'} {name} {amount}: {worst} of 255 from Pillow's", flush=True)


def moved(operation, amount, theirs, inside, tolerance=1):
    """A move, where no border reaches."""
    global failures
    subprocess.run([GRAFT, "augment", photo, "-o", folder / "o.png", "--operation", operation, f"--amount={amount}"], check=True, stdout=subprocess.DEVNULL)
    ours = np.asarray(Image.open(folder / "o.png").convert("RGB")).astype(int)
    worst = int(np.abs(ours - np.asarray(theirs).astype(int))[inside].max())
    failures += worst > tolerance
    print(f"{'ok  ' if worst <= tolerance else 'FAIL'} {operation} {amount}: {worst} of 255 from the peer's", flush=True)


# Pillow turns about the same centre; what it slants about is given.
y, x = np.mgrid[:97, :97] - 48
for angle in (23, -70):
    moved("rotate", angle, source.rotate(angle, Image.BILINEAR), x * x + y * y < 44 * 44)
middle = (np.abs(x) < 20) & (np.abs(y) < 20)
for slant in (0.3, -0.99):
    half = slant * 97 / 2
    moved("shear-x", slant, source.transform(source.size, Image.AFFINE, (1, slant, -half, 0, 1, 0), Image.BILINEAR), middle)
    moved("shear-y", slant, source.transform(source.size, Image.AFFINE, (1, 0, 0, slant, 1, -half), Image.BILINEAR), middle)
for pixels in (9, -20):
    moved("translate-x", pixels, source.transform(source.size, Image.AFFINE, (1, 0, -pixels, 0, 1, 0)), middle)
    moved("translate-y", pixels, source.transform(source.size, Image.AFFINE, (1, 0, 0, 0, 1, -pixels)), middle)
from skimage.filters import gaussian

for deviation in (0.7, 2.5):
    blurred = gaussian(np.asarray(source).astype(float), deviation, truncate=4, channel_axis=2, preserve_range=True)
    moved("blur", deviation, np.rint(blurred), middle)
sys.exit(1 if failures else 0)
