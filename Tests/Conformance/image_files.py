"""Image files of every kind that graft reads against Pillow, pillow-heif and tifffile, pixel for pixel, and the memory of large ones.

HEIC may differ by 1: libheif's own versions round another way. AVIF with halved colour is blended as Pillow's library does it, but
libheif clips colours that leave the gamut first: 1 in 200 values may differ, by at most 16. HEIC that is turned has even sides here,
as phones write it: of odd ones older versions of libheif move the colour by a pixel."""
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import pillow_heif
import tifffile
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None
graft = os.environ["GRAFT"]
folder = pathlib.Path(tempfile.mkdtemp())
rng = np.random.default_rng(5)
failed = 0

yy, xx = np.mgrid[0:150, 0:200]
base = np.stack([xx * 1.2, yy * 1.6, 128 + 90 * np.sin(xx / 9) * np.cos(yy / 7)], -1)
base[40:90, 50:120] = (230, 50, 30)
rgb = (base + rng.normal(0, 5, base.shape)).clip(0, 255).astype(np.uint8)
photo = Image.fromarray(rgb)
alpha = photo.copy()
alpha.putalpha(Image.linear_gradient("L").resize(photo.size))


def run(path, width, height, kernel="nearest"):
    """graft's pixels of a file at its own size; a message if it refuses. And the most memory that it took, in MB."""
    spec = {"resize": "squash", "kernel": kernel, "height": height, "width": width,
            "normalization": {"channels": "rgb", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}}
    out = folder / "x.npy"
    out.unlink(missing_ok=True)
    # A small process starts it: the kernel counts what its parent had in memory to its own peak.
    measure = ("import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True);"
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, done.stderr.strip());"
               "sys.exit(done.returncode != 0)")
    done = subprocess.run([sys.executable, "-c", measure, graft, "preprocess", str(path), "--spec", json.dumps(spec),
                           "-o", str(out)], stdout=subprocess.PIPE, text=True)
    megabytes, _, message = done.stdout.partition(" ")
    pixels = np.load(out)[0].transpose(1, 2, 0) if done.returncode == 0 else None
    return pixels, message.strip(), int(megabytes)


def report(good, name, text):
    global failed
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {text}")


def check(name, data=None, want=None, worst=0, share=0.0):
    """The file (or these bytes) has the pixels that Pillow reads, or `want`."""
    path = folder / name
    if data is not None:
        path.write_bytes(data)
    if want is None:
        want = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    got, message, _ = run(path, want.shape[1], want.shape[0])
    if got is None:
        return report(False, name, message)
    difference = np.abs(got - want.astype(float))
    many = float((difference > 1).mean())
    report(difference.max() <= worst and (worst <= 1 or many <= share), name,
           f"worst {difference.max():.0f} (allowed {worst}), {many:.2%} above 1")


def refused(name, data, *words):
    (folder / name).write_bytes(data)
    got, message, _ = run(folder / name, 8, 8)
    report(got is None and name in message and all(word in message for word in words) and "hint:" in message,
           name, message.replace("\n", " | ") or "was read")


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


# Content decides, whatever the name says.
jpeg = saved(photo, "JPEG", quality=90)
for name in ("a.jfif", "a.jpe", "a", "a.txt", "a.png"):
    check(name, jpeg, worst=1)
# Arithmetic coding, which cjpeg writes and Pillow reads; a file that ends early says so.
for name in ("arithmetic.jpg", "arithmetic-progressive.jpg"):
    data = (pathlib.Path(__file__).parent.parent / "Fixtures" / "images" / name).read_bytes()
    check(name, data, worst=1)
    refused(f"cut-{name}", data[:len(data) * 2 // 3], "too early")
check("no_end.jpg", jpeg[:-2], want=np.asarray(Image.open(io.BytesIO(jpeg))), worst=1)
refused("cut.jpg", jpeg[:len(jpeg) * 2 // 3], "too early")
check("stereo.mpo", saved(photo, "MPO", save_all=True, append_images=[ImageOps.mirror(photo)]), worst=1)

# BMP as Pillow writes it, and by hand what it does not write.
for mode in ("1", "L", "P", "RGB", "RGBA"):
    check(f"{mode}.bmp", saved((alpha if mode == "RGBA" else photo).convert(mode), "BMP"))
bmp = saved(photo.quantize(200), "BMP")
refused("cut.bmp", bmp[:-200], "too early")
refused("jpeg_inside.bmp", bmp[:30] + struct.pack("<I", 4) + bmp[34:], "JPEG inside")
refused("depth.bmp", bmp[:28] + struct.pack("<H", 7) + bmp[30:], "7 bits")
refused("huge.bmp", bmp[:18] + struct.pack("<ii", 2000000, 2000000) + bmp[26:], "too large")

# GIF: transparent, animated with parts, interlaced.
check("plain.gif", saved(photo, "GIF"))
check("grey.gif", saved(photo.convert("L"), "GIF"))
check("interlaced.gif", saved(photo.quantize(60), "GIF", interlace=1))
check("transparent.gif", saved(alpha, "GIF"))
check("animated.gif", saved(photo, "GIF", save_all=True, append_images=[ImageOps.mirror(photo)], duration=50))
gif = saved(photo, "GIF")
refused("cut.gif", gif[:len(gif) // 2], "too early")

# TIFF: what libtiff compresses, and layouts that Pillow does not write.
for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd"):
    for mode in ("L", "RGB", "RGBA", "CMYK", "P"):
        if mode in ("RGB", "CMYK") or compression in ("raw", "tiff_lzw"):
            check(f"{compression}_{mode}.tif", saved((alpha if mode == "RGBA" else photo).convert(mode), "TIFF",
                                                   compression=None if compression == "raw" else compression))
for compression in ("group3", "group4", "tiff_ccitt"):
    check(f"{compression}.tif", saved(photo.convert("1"), "TIFF", compression=compression))
check("jpeg.tif", saved(photo, "TIFF", compression="jpeg", quality=90), worst=2, share=0.01)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    check(f"orientation{orientation}.tif", saved(photo, "TIFF", exif=exif))
wide = rng.integers(0, 65536, rgb.shape).astype(np.uint16)
high = (wide >> 8).astype(np.uint8)
for name, data, want, options in (
        ("rgb16", wide, high, {}), ("big", rgb, rgb, {"bigtiff": True}), ("motorola", wide, high, {"byteorder": ">"}),
        ("tiles", rgb, rgb, {"tile": (64, 48)}), ("tiles16", wide, high, {"tile": (32, 32)}),
        ("strips", rgb, rgb, {"rowsperstrip": 7}), ("one_strip", rgb, rgb, {"rowsperstrip": 1000}),
        ("planes", rgb.transpose(2, 0, 1), rgb, {"planarconfig": "separate"}),
        ("plane_strips", rgb.transpose(2, 0, 1), rgb, {"planarconfig": "separate", "rowsperstrip": 11}),
        ("plane_tiles", rgb.transpose(2, 0, 1), rgb, {"planarconfig": "separate", "tile": (32, 64)})):
    tifffile.imwrite(folder / f"{name}.tif", data, photometric="rgb", **options)
    check(f"{name}.tif", want=want)
tifffile.imwrite(folder / "grey16.tif", wide[..., 0], photometric="minisblack")
check("grey16.tif", want=np.repeat(high[..., :1], 3, -1))
tifffile.imwrite(folder / "inverted16.tif", wide[..., 0], photometric="miniswhite")
check("inverted16.tif", want=255 - np.repeat(high[..., :1], 3, -1))
for extra in ("unassalpha", "assocalpha", "unspecified"):
    tifffile.imwrite(folder / f"{extra}.tif", np.asarray(alpha), photometric="rgb", extrasamples=[extra])
    check(f"{extra}.tif")
tifffile.imwrite(folder / "float.tif", rgb[..., 0].astype(np.float32), photometric="minisblack")
refused("float.tif", (folder / "float.tif").read_bytes(), "floating-point")
tiff = saved(photo, "TIFF")
refused("lab.tif", saved(photo.convert("LAB"), "TIFF"), "CIELab")
refused("cut.tif", tiff[:len(tiff) // 2])
refused("raw.tif", saved(photo, "TIFF", tiffinfo={0xC612: b"\1\4\0\0"}), "camera raw")


# HEIC: chroma, alpha, grey, and the grid of tiles, turned and mirrored, that phones write.
for chroma in ("420", "422", "444"):
    check(f"{chroma}.heic", saved(photo, "HEIF", quality=90, chroma=chroma), worst=1)
check("alpha.heic", saved(alpha, "HEIF", quality=90), worst=1)
check("grey.heic", saved(photo.convert("L"), "HEIF", quality=90), worst=1)
check("odd.heic", saved(photo.crop((0, 0, 67, 45)), "HEIF", quality=90), worst=1)


def box(kind, *parts, version=None, flags=0):
    body = (b"" if version is None else struct.pack(">I", version << 24 | flags)) + b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def find(data, *kinds):
    """The whole box at the end of a path of boxes."""
    for kind in kinds:
        at = 0
        while data[at + 4:at + 8] != kind:
            at += struct.unpack(">I", data[at:at + 4])[0]
        whole = data[at:at + struct.unpack(">I", data[at:at + 4])[0]]
        data = whole[12 if kind == b"meta" else 8:]
    return whole


def grid(tiles, columns, width, height, *turns):
    """A HEIC whose primary image is made of tiles of one size, with properties that turn it."""
    coded, settings = [], None
    for tile in tiles:
        file = saved(tile, "HEIF", quality=90)
        settings = find(file, b"meta", b"iprp", b"ipco", b"hvcC")
        coded.append(find(file, b"mdat")[8:])
    count = len(tiles)
    layout = struct.pack(">BBBBHH", 0, 0, count // columns - 1, columns - 1, width, height)
    entries = b"".join(box(b"infe", struct.pack(">HH", i + 1, 0), b"hvc1", b"\0", version=2, flags=1) for i in range(count))
    entries += box(b"infe", struct.pack(">HH", count + 1, 0), b"grid", b"\0", version=2)
    properties = [settings, box(b"ispe", struct.pack(">II", *tiles[0].size), version=0),
                  box(b"ispe", struct.pack(">II", width, height), version=0), *turns]
    links = b"".join(struct.pack(">HB", i + 1, 2) + bytes([0x81, 2]) for i in range(count))
    links += struct.pack(">HB", count + 1, 1 + len(turns)) + bytes([3] + [0x80 | 4 + i for i in range(len(turns))])

    def meta(start):
        places, at = b"", start
        for i, data in enumerate([*coded, layout]):
            places += struct.pack(">HHHII", i + 1, 0, 1, at, len(data))
            at += len(data)
        return box(
            b"meta", box(b"hdlr", struct.pack(">I", 0), b"pict", bytes(13), version=0),
            box(b"pitm", struct.pack(">H", count + 1), version=0),
            box(b"iinf", struct.pack(">H", count + 1), entries, version=0),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", struct.pack(">I", count + 1), links, version=0)),
            box(b"iref", box(b"dimg", struct.pack(f">HH{count}H", count + 1, count, *range(1, count + 1))), version=0),
            box(b"iloc", struct.pack(">BBH", 0x44, 0, count + 1), places, version=0), version=0)

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    length = len(head) + len(meta(0)) + 8
    return head + meta(length) + box(b"mdat", *coded, layout)


big = photo.resize((256, 256))
tiles = [big.crop((x, y, x + 128, y + 128)) for y in (0, 128) for x in (0, 128)]
check("grid.heic", grid(tiles, 2, 256, 256), worst=1)
check("grid_cut.heic", grid(tiles, 2, 230, 202), worst=1)
for quarter in (1, 2, 3):
    check(f"turned{quarter}.heic", grid(tiles, 2, 230, 202, box(b"irot", bytes([quarter]))), worst=1)
for axis in (0, 1):
    check(f"mirrored{axis}.heic", grid(tiles, 2, 230, 202, box(b"irot", b"\1"), box(b"imir", bytes([axis]))), worst=1)
heic = grid(tiles, 2, 256, 256)
refused("cut.heic", heic[:len(heic) // 2])

# AVIF.
for sampling in ("4:2:0", "4:2:2", "4:4:4", "4:0:0"):
    check(f"{sampling.replace(':', '')}.avif", saved(photo, "AVIF", quality=80, subsampling=sampling), worst=16, share=0.005)
check("alpha.avif", saved(alpha, "AVIF", quality=80), worst=16, share=0.005)
check("animated.avif", saved(photo, "AVIF", save_all=True, append_images=[ImageOps.mirror(photo)]), worst=16, share=0.005)

# WebP: the first frame of an animation.
for options in ({"lossless": True}, {"quality": 80}):
    check(f"animated_{len(options)}{'lossless' in options}.webp",
          saved(alpha, "WEBP", save_all=True, append_images=[ImageOps.mirror(alpha)], exact=True, **options), worst=1)

# What graft does not read is named.
refused("a.jp2", saved(photo, "JPEG2000"), "JPEG 2000")
refused("a.ppm", saved(photo, "PPM"), "Netpbm")
refused("a.ico", saved(photo, "ICO"), "icon")
refused("a.pdf", saved(photo, "PDF"), "PDF")
refused("precise.jpg", jpeg.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c", 1), "12-bit")
refused("lossless.jpg", jpeg.replace(b"\xff\xc0", b"\xff\xc3", 1), "lossless")


# Large images: reduced as they are decoded, so that memory holds little of them.
def large(name, save, most):
    save(folder / name)
    got, message, megabytes = run(folder / name, 224, 224, "bilinear")
    report(got is not None and megabytes < most, name, f"{megabytes:.0f} MB (allowed {most}) {message}")
    (folder / name).unlink()


ramp = np.linspace(0, 255, 12000).astype(np.uint8)
large("12000x9000.jpg", lambda p: Image.fromarray(np.broadcast_to(ramp, (9000, 12000))).convert("RGB").save(p), 200)
ramp = np.linspace(0, 255, 20000).astype(np.uint8)
strip = Image.fromarray(np.broadcast_to(ramp, (3000, 20000))).convert("RGB")
large("20000x3000.png", lambda p: strip.save(p, compress_level=1), 200)
large("20000x3000.tif", lambda p: strip.save(p, compression="tiff_lzw"), 200)
large("20000x8000.png", lambda p: strip.resize((20000, 8000), Image.NEAREST).save(p, compress_level=1), 200)
large("65500x600.jpg", lambda p: strip.resize((65500, 600), Image.NEAREST).save(p), 200)
refused("20000x8000.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 20000, 8000, 1, 24, 0, 0, 0, 0, 0, 0),
        "20000 × 8000", "100,000,000")

print("image files:", "all agree" if not failed else f"{failed} disagree")
sys.exit(failed > 0)
