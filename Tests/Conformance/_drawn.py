"""Drawn photos: shapes of any size, turn, place and colour, plain, striped or dotted, with noise."""
import math

import numpy as np
from PIL import Image, ImageDraw


def outline(corners, star):
    count = 2 * corners if star else corners
    return [((0.45 if star and i % 2 else 1) * math.cos(2 * math.pi * i / count), (0.45 if star and i % 2 else 1) * math.sin(2 * math.pi * i / count))
            for i in range(count)]


OUTLINES = [outline(3, False), outline(4, False), outline(6, False), outline(40, False), outline(4, True), outline(6, True)]
KINDS = [(shape, pattern) for shape in range(6) for pattern in range(3)]


def colours(random):
    """Three that are well apart."""
    while True:
        a, b, c = (tuple(int(v) for v in random.integers(0, 256, 3)) for _ in range(3))
        far = lambda x, y: sum(abs(p - q) for p, q in zip(x, y))
        if min(far(a, b), far(b, c), far(a, c)) > 180:
            return a, b, c


def photo(shape, pattern, random, size=32):
    big = size * 3
    ground, fill, other = colours(random)
    picture, mask, inside = Image.new("RGB", (big, big), ground), Image.new("L", (big, big), 0), Image.new("RGB", (big, big), fill)
    radius, x, y, turn = big * random.uniform(0.28, 0.42), big * random.uniform(0.42, 0.58), big * random.uniform(0.42, 0.58), random.uniform(0, 2 * math.pi)
    ImageDraw.Draw(mask).polygon([(x + radius * (u * math.cos(turn) - v * math.sin(turn)), y + radius * (u * math.sin(turn) + v * math.cos(turn)))
                                  for u, v in OUTLINES[shape]], fill=255)
    pen, step = ImageDraw.Draw(inside), big // 8
    start = int(random.integers(0, step))
    for row in range(-start, big, step):
        if pattern == 1:
            pen.rectangle([0, row, big, row + step // 2], fill=other)
        for column in range(-start, big, step) if pattern == 2 else []:
            pen.ellipse([column, row, column + step * 0.6, row + step * 0.6], fill=other)
    picture.paste(inside, mask=mask)
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BOX)).astype(float) + random.normal(0, 8, (size, size, 3))
    return Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def write(folder, kinds, count, random):
    """A folder of photos of each kind."""
    for shape, pattern in kinds:
        place = folder / f"shape{shape}-{pattern}"
        place.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            photo(shape, pattern, random).save(place / f"{index:03}.png")
