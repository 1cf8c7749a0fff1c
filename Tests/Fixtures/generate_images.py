"""Writes the tiny pictures in Tests/Fixtures/images, and with each what Pillow makes of it (NAME.rgb)."""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

out = pathlib.Path(__file__).parent / "images"
out.mkdir(exist_ok=True)
rng = np.random.default_rng(7)
W, H = 13, 9
yy, xx = np.mgrid[0:H, 0:W]
rgb = np.stack([xx * 19, yy * 28, (xx + yy) * 11], -1).astype(np.uint8)
rgb[2:5, 3:8] = [250, 20, 40]
photo = Image.fromarray(rgb)
alpha = Image.fromarray(np.dstack([rgb, (xx * 20).astype(np.uint8)]), "RGBA")


def keep(name, image=None, oriented=None, **options):
    path = out / name
    if image is not None:
        image.save(path, **options)
    pixels = oriented if oriented is not None else np.asarray(Image.open(path).convert("RGB"))
    height, width = pixels.shape[:2]
    (out / (name + ".rgb")).write_bytes(struct.pack("<HH", width, height) + pixels.tobytes())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(name, samples, colour):
    height, width = samples.shape[:2]
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    (out / name).write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


keep("plain.jpg", photo, quality=90)
keep("progressive.jpg", photo, quality=80, progressive=True)
keep("gray.jpg", photo.convert("L"), quality=90)
keep("cmyk.jpg", photo.convert("CMYK"), quality=90)
exif = Image.Exif()
exif[0x0112] = 6
photo.save(out / "turned.jpg", quality=90, exif=exif.tobytes())
keep("turned.jpg", oriented=np.rot90(np.asarray(Image.open(out / "turned.jpg").convert("RGB")), -1))
keep("plain.png", photo)
keep("gray.png", photo.convert("L"))
keep("bilevel.png", photo.convert("1"))
keep("alpha.png", alpha)
keep("gray-alpha.png", alpha.convert("LA"))
keep("palette.png", photo.quantize(16), transparency=3)
keep("gamma.png", photo)
data = (out / "gamma.png").read_bytes()
(out / "gamma.png").write_bytes(data[:33] + chunk(b"gAMA", struct.pack(">I", 100000)) + data[33:])
keep("gamma.png")
wide = rng.integers(0, 65536, (H, W, 3))
png16("rgb16.png", wide, 2)
keep("rgb16.png", oriented=(wide >> 8).astype(np.uint8))
png16("gray16.png", wide[..., :1], 0)
keep("gray16.png", oriented=np.repeat((wide[..., :1] >> 8).astype(np.uint8), 3, -1))
keep("lossless.webp", photo, lossless=True)
keep("lossy.webp", photo, quality=80)
keep("alpha.webp", alpha, lossless=True, exact=True)
photo.save(out / "animated.webp", save_all=True, append_images=[photo.rotate(180)])
photo.save(out / "picture.gif")
print(sum(path.stat().st_size for path in out.iterdir()), "bytes")
