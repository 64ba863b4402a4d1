"""Two models in cascade: what the first one says of a frame decides which part of it the second one sees.

The results of the first are the source of the second, so that both devices are busy at once, and everything stays
bounded: where the second is the slower one, it holds the first back.
"""

import sys
from collections.abc import Iterator

import numpy as np

import nbuffer

model, device = sys.argv[1:]

MEAN, STD = 0.31, 0.4


def frames() -> Iterator[np.ndarray]:
    """A camera of 16 x 16 pixels."""
    random = np.random.default_rng(seed=1)
    for _ in range(200):
        yield random.integers(0, 256, (16, 16, 3), dtype=np.uint8)


def quarter(found: tuple[np.ndarray, int]) -> np.ndarray:
    """The part of the frame that the first model points at, as real numbers: nbuffer quantises and pads them."""
    frame, digit = found
    top, left = 8 * (digit // 2 % 2), 8 * (digit % 2)
    return (frame[top : top + 8, left : left + 8].astype(np.float32) / 255 - MEAN) / STD


where = nbuffer.Pipeline(
    model,
    preprocess=nbuffer.ImagePreprocess(),
    postprocess=lambda frame, outputs: int(outputs[0].argmax()),
    device=device,
)
what = nbuffer.Pipeline(
    model, preprocess=quarter, postprocess=lambda found, outputs: int(outputs[0].argmax()), device=device
)
for number, ((frame, place), digit) in enumerate(what.run(where.run(frames()))):
    print(f"frame {number}: quarter {place % 4}, class {digit}")
print(where.report, what.report, sep="\n\n", file=sys.stderr)
