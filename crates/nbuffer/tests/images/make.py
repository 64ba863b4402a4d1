"""Makes the images beside this file, which tests/image.rs decodes.

    pip install numpy==2.4.6 pillow==13.0.0
    python make.py

Each JPEG has a PNG of the same name: the pixels that libjpeg, behind Pillow, decodes it to. Pillow writes no
interlaced PNG, so those are put together here, and Pillow has to read them as meant.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent

# First column, first row, distance of columns, distance of rows of the seven passes (PNG specification, 8.2).
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def slopes(width, height):
    """The picture that tests/image.rs calls by this name."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 7, y * 5, (x ^ y) * 3], axis=-1).astype(np.uint8)


def smooth(width, height):
    """Slopes alone: where chroma is halved, decoders agree on it."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 5, 255 - x * 2 - y * 2], axis=-1).astype(np.uint8)


def jpeg(name, image, **options):
    image.save(HERE / f"{name}.jpg", quality=90, **options)
    with Image.open(HERE / f"{name}.jpg") as stored:
        stored.convert("RGB").save(HERE / f"{name}.png", optimize=True)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced(name, pixels, colour_type, bit_depth, row_bytes):
    height, width = pixels.shape[:2]
    data = b""
    for left, top, step_x, step_y in ADAM7:
        for row in pixels[top::step_y, left::step_x]:
            if len(row):
                data += b"\0" + row_bytes(row)  # filter 0: none
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    path = HERE / f"{name}.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with Image.open(path) as image:
        assert image.info["interlace"] == 1
        found = np.asarray(image.convert("RGB" if pixels.ndim == 3 else "L"))
    assert (found == (pixels if pixels.ndim == 3 else pixels * 255)).all(), name


jpeg("slopes", Image.fromarray(slopes(64, 48)), subsampling="4:4:4")
jpeg("flat", Image.new("RGB", (40, 24), (200, 100, 50)))
jpeg("halved-chroma", Image.fromarray(smooth(45, 37)), subsampling="4:2:0")
jpeg("progressive", Image.fromarray(slopes(19, 13)), subsampling="4:4:4", progressive=True)
jpeg("grey", Image.fromarray(slopes(19, 13)).convert("L"))
inks = np.dstack([smooth(19, 13), smooth(19, 13)[..., 1]])  # the last is black
jpeg("cmyk", Image.frombytes("CMYK", (19, 13), inks.tobytes()))
jpeg("rgb", Image.fromarray(slopes(19, 13)), keep_rgb=True)

interlaced("interlaced-rgb", slopes(19, 13), 2, 8, lambda row: row.tobytes())
y, x = np.mgrid[:13, :19]
interlaced("interlaced-grey-1-bit", (x ^ y) & 1, 0, 1, lambda row: np.packbits(row.astype(np.uint8)).tobytes())
