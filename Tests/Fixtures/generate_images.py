"""Writes the tiny pictures in Tests/Fixtures/images, and with each what Pillow makes of it (NAME.rgb)."""
import io
import pathlib
import struct
import subprocess
import zlib

import numpy as np
import pillow_heif
import tifffile
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
# Coded arithmetically, by cjpeg of libjpeg-turbo-progs; large enough to be decoded at a fraction.
ramp = np.mgrid[0:45, 0:61].astype(float)
waves = np.stack([ramp[1] * 4, ramp[0] * 5, 128 + 100 * np.sin(ramp[1] / 7) * np.cos(ramp[0] / 5)], -1).astype(np.uint8)
ppm = io.BytesIO()
Image.fromarray(waves).save(ppm, "PPM")
for name, options in {"arithmetic.jpg": [], "arithmetic-progressive.jpg": ["-progressive"]}.items():
    (out / name).write_bytes(subprocess.run(
        ["cjpeg", "-arithmetic", "-quality", "85", *options], input=ppm.getvalue(), stdout=subprocess.PIPE, check=True).stdout)
    keep(name)
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
photo.save(out / "animated.webp", save_all=True, append_images=[photo.rotate(180)], lossless=True)
keep("animated.webp")


def bmp(name, bits, rows, compression=0, palette=b"", masks=b"", size=40, top_down=False, stored=None):
    """A bitmap of rows of bytes, from the lowest up."""
    height = -H if top_down else H
    if size == 12:
        header = struct.pack("<IHHHH", 12, W, H, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", 40, W, height, 1, bits, compression, 0, 0, 0, len(palette) // 4, 0)
    data = stored if stored is not None else b"".join(row + bytes(-len(row) % 4) for row in rows)
    start = 14 + len(header) + len(masks) + len(palette)
    (out / name).write_bytes(b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + masks + palette + data)
    keep(name)


photo.save(out / "plain.bmp")
keep("plain.bmp")
up = rgb[::-1].astype(int)
small = photo.quantize(16)
index = np.asarray(small)[::-1]
colours = np.zeros((16, 3), np.uint8)
given = np.array(small.getpalette()[:48], np.uint8).reshape(-1, 3)
colours[:len(given)] = given
quads = b"".join(bytes([b, g, r, 0]) for r, g, b in colours.tolist())
triples = b"".join(bytes([b, g, r]) for r, g, b in colours.tolist())


def nibbles(row):
    row = list(row) + [0] * (len(row) % 2)
    return bytes(a << 4 | b for a, b in zip(row[::2], row[1::2]))


def runs(row, narrow):
    """Three pixels as they are, the others as runs of one."""
    row = [int(value) for value in row]
    plain = nibbles(row[:3]) if narrow else bytes(row[:3])
    return b"\0\3" + plain + bytes(len(plain) % 2) + b"".join(
        bytes([1, value << 4 if narrow else value]) for value in row[3:]) + b"\0\0"


bmp("palette4.bmp", 4, [nibbles(row) for row in index], palette=quads)
bmp("os2.bmp", 4, [nibbles(row) for row in index], palette=triples, size=12)
bmp("rle4.bmp", 4, [], 2, palette=quads, stored=b"".join(runs(row, True) for row in index) + b"\0\1")
bmp("rle8.bmp", 8, [], 1, palette=quads, stored=b"".join(runs(row, False) for row in index) + b"\0\1")
bmp("bilevel.bmp", 1, [np.packbits(row > 7).tobytes() for row in index], palette=quads[4:8] + quads[20:24])
five = (up[..., 0] >> 3 << 10 | up[..., 1] >> 3 << 5 | up[..., 2] >> 3).astype("<u2")
six = (up[..., 0] >> 3 << 11 | up[..., 1] >> 2 << 5 | up[..., 2] >> 3).astype("<u2")
bmp("rgb555.bmp", 16, [row.tobytes() for row in five])
bmp("rgb565.bmp", 16, [row.tobytes() for row in six], 3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
deep = (up[..., 0] << 24 | up[..., 1] << 16 | up[..., 2] << 8).astype("<u4")
bmp("masks32.bmp", 32, [row.tobytes() for row in deep], 3, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00))
bmp("topdown.bmp", 24, [row[:, ::-1].tobytes() for row in rgb], top_down=True)

photo.save(out / "picture.gif")
keep("picture.gif")


def gif(name, frame, left, top, transparent=None, interlaced=False):
    """A canvas of W × H whose only frame is a part of it; rows in the order in which they are stored."""
    if interlaced:
        frame = np.concatenate([frame[0::8], frame[4::8], frame[2::4], frame[1::2]])
    height, width = frame.shape
    # Codes of nine bits, and the dictionary cleared before it grows to ten.
    codes = []
    for at, value in enumerate(frame.ravel().tolist()):
        codes += ([256] if at % 100 == 0 else []) + [value]
    bits = "".join(format(code, "09b")[::-1] for code in codes + [257])
    data = bytes(int(bits[i:i + 8][::-1], 2) for i in range(0, len(bits), 8))
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    control = b"" if transparent is None else b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"
    (out / name).write_bytes(
        b"GIF89a" + struct.pack("<HHBBB", W, H, 0xF7, 0, 0) + colours.tobytes().ljust(768, b"\7")
        + control + b"," + struct.pack("<HHHHB", left, top, width, height, 0x40 if interlaced else 0)
        + b"\10" + blocks + b"\0;")
    keep(name)


gif("part.gif", np.asarray(small)[2:7, 3:9], 3, 2)
gif("transparent.gif", np.asarray(small)[2:7, 3:9], 3, 2, transparent=5)
gif("interlaced.gif", np.asarray(small), 0, 0, interlaced=True)

photo.save(out / "lzw.tiff", compression="tiff_lzw")
keep("lzw.tiff")
photo.convert("CMYK").save(out / "cmyk.tiff")
keep("cmyk.tiff")
photo.quantize(16).save(out / "palette.tiff")
keep("palette.tiff")
photo.convert("1").save(out / "fax.tiff", compression="group4")
keep("fax.tiff")
photo.save(out / "turned.tiff", exif=exif)
keep("turned.tiff", oriented=np.rot90(rgb, -1))
tifffile.imwrite(out / "rgb16.tiff", wide.astype(np.uint16), photometric="rgb")
keep("rgb16.tiff", oriented=(wide >> 8).astype(np.uint8))
tifffile.imwrite(out / "tiles.tiff", rgb, photometric="rgb", tile=(16, 16))
keep("tiles.tiff")
tifffile.imwrite(out / "planes.tiff", rgb.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
keep("planes.tiff", oriented=rgb)
premultiplied = np.asarray(alpha).astype(int)
premultiplied[..., :3] = premultiplied[..., :3] * premultiplied[..., 3:] // 255
tifffile.imwrite(out / "premultiplied.tiff", premultiplied.astype(np.uint8), photometric="rgb", extrasamples=["assocalpha"])
keep("premultiplied.tiff")

pillow_heif.register_heif_opener()
photo.resize((48, 32)).save(out / "photo.heic", quality=60)
keep("photo.heic")
photo.resize((48, 32)).save(out / "photo.avif", quality=60)
keep("photo.avif")
print(sum(path.stat().st_size for path in out.iterdir()), "bytes")
