"""The operations of RandAugment and TrivialAugment against Pillow's, at fixed amounts."""
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
# Turning, inside the circle that no border reaches: Pillow turns about the same centre.
subprocess.run([GRAFT, "augment", photo, "-o", folder / "o.png", "--operation", "rotate", "--amount", "23"], check=True, stdout=subprocess.DEVNULL)
ours = np.asarray(Image.open(folder / "o.png").convert("RGB")).astype(int)
theirs = np.asarray(source.rotate(23, Image.BILINEAR)).astype(int)
y, x = np.mgrid[:97, :97] - 48
inside = x * x + y * y < 44 * 44
worst = int(np.abs(ours - theirs)[inside].max())
failures += worst > 1
print(f"{'ok  ' if worst <= 1 else 'FAIL'} rotate 23: {worst} of 255 from Pillow's")
sys.exit(1 if failures else 0)
