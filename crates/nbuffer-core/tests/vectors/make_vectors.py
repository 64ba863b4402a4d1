# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy==2.4.6"]
# ///
"""Makes the vectors that tests/tensor_vectors.rs compares with.

The formulas are written here a second time, in NumPy, independently of the Rust code:

    uv run make_vectors.py          (or: pip install numpy==2.4.6 && python make_vectors.py)

writes vectors.json, which describes the cases, and vectors.bin, which holds their arrays one after the
other, little endian. The same NumPy writes the same bytes: the random generator is seeded.
"""

import json
from pathlib import Path

import numpy as np

INT32_MAX = 2**31 - 1
NAN_BITS = [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF]
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

random = np.random.default_rng(20_240_607)


def quantize(x, scale, zero_point):
    # NumPy leaves the integer of a NaN undefined; here it counts as 0.0.
    x = np.where(np.isnan(x), np.float32(0), x)
    with np.errstate(over="ignore"):
        return np.clip(np.round(x / scale + zero_point), -128, 127).astype(np.int8)


def dequantize(q, scale, zero_point):
    with np.errstate(over="ignore"):
        return (q.astype(np.float32) - zero_point) * scale


def normalize(x, mean, std):
    return (x - np.array(mean, np.float32)) / np.array(std, np.float32)


class Vectors:
    def __init__(self):
        self.cases = []
        self.arrays = bytearray()

    def store(self, array, dtype):
        assert array.dtype == dtype, (array.dtype, dtype)
        start = len(self.arrays)
        self.arrays += np.ascontiguousarray(array).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
        return [start, array.size]

    def add(self, name, x, scale, zero_point, padding=None, mean=None, std=None):
        """Adds a case: `x` are the unpadded reals, or with a mean the pixels of an image as bytes."""
        padding = padding or [(0, 0)] * x.ndim
        case = {}
        if mean is not None:
            unit = x.astype(np.float32) / np.float32(255)
            # Floats need not be multiples of 1/255, nor lie between 0 and 1.
            floats = random.normal(0.5, 0.4, x.shape).astype(np.float32)
            case |= {"mean": [repr(m) for m in mean], "std": [repr(s) for s in std]}
            case["pixels_u8"] = self.store(x, np.uint8)
            case["pixels_f32"] = self.store(floats, np.float32)
            from_floats = quantize(normalize(floats, mean, std), scale, zero_point)
            case["padded_f32"] = self.store(self.pad(from_floats, zero_point, padding), np.int8)
            x = normalize(unit, mean, std)
        integers = quantize(x, scale, zero_point)
        padded = self.pad(integers, zero_point, padding)
        back = dequantize(integers, scale, zero_point)
        case |= {
            "name": name,
            "shape": list(padded.shape),
            "padding": padding,
            # As text, since readers of JSON differ in how exactly they read numbers.
            "scale": repr(float(scale)),
            "zero_point": zero_point,
            "reals": self.store(x, np.float32),
            "integers": self.store(integers, np.int8),
            "padded": self.store(padded, np.int8),
            "dequantized": self.store(back, np.float32),
        }
        if x.ndim == 4:
            case["nchw"] = self.store(back.transpose(0, 3, 1, 2), np.float32)
        self.cases.append(case)

    @staticmethod
    def pad(integers, zero_point, padding):
        if not padding:
            return integers
        return np.pad(integers, padding, constant_values=np.int8(min(max(zero_point, -128), 127)))


def neighbours(x):
    below, above = np.float32(-np.inf), np.float32(np.inf)
    return np.concatenate([np.nextafter(x, below), x, np.nextafter(x, above)])


def reals(shape, scale, zero_point):
    """Mostly within range, with some that saturate."""
    return ((random.uniform(-150, 150, shape) - zero_point) * scale).astype(np.float32)


def main():
    vectors = Vectors()

    half_integers = np.arange(-131, 131, dtype=np.float32) + np.float32(0.5)
    for zero_point in (-128, 0, 3, 146, -200):
        ties = (half_integers - np.float32(zero_point)) * np.float32(0.5)
        vectors.add(f"ties, zero point {zero_point}", ties, 0.5, zero_point)
        for scale in (1 / 255, 0.018658448):
            thresholds = neighbours((half_integers[::3] - np.float32(zero_point)) * np.float32(scale))
            vectors.add(f"thresholds, scale {scale}, zero point {zero_point}", thresholds, scale, zero_point)

    tiny = np.array([1, 2, 0x7FFFFF, 0x800000, 0x80000001, 0x807FFFFF], np.uint32).view(np.float32)
    nans = np.array(NAN_BITS, np.uint32).view(np.float32)
    huge = np.array([3.4028235e38, -3.4028235e38, 1e30, -1e30, 5e9, -5e9, np.inf, -np.inf], np.float32)
    plain = np.array([0.0, -0.0, 1.0, -1.0, 0.4999999, 0.5, 0.50000006, 1e-20], np.float32)
    special = np.concatenate([tiny, nans, huge, plain])
    for zero_point in (-128, 0, 3, 146, -200, 16_777_217, INT32_MAX, -INT32_MAX - 1):
        for scale in (1.2e-38, 1e-30, 0.018658448, 1.0, 1e30, 3e38):
            vectors.add(f"special, scale {scale}, zero point {zero_point}", special, scale, zero_point)
    for zero_point in (-127, 100, 40_000, -40_000, 1_000_003):
        near_zero_point = reals(90, 0.0371, zero_point)
        vectors.add(f"random, zero point {zero_point}", near_zero_point, 0.0371, zero_point)

    vectors.add("rank 0", reals((), 0.1, 3), 0.1, 3)
    for rank in range(1, 9):
        for padded in (False, True):
            shape = tuple(int(n) for n in random.integers(1, {1: 90, 2: 12, 3: 6, 4: 4}.get(rank, 3), rank))
            padding = [tuple(int(n) for n in random.integers(0, 3 if rank < 5 else 2, 2)) for _ in shape]
            padding = padding if padded else None
            name = f"rank {rank}, {'padded' if padded else 'not padded'}"
            vectors.add(name, reals(shape, 0.02, -7), 0.02, -7, padding)

    for shape, padding in [
        ((0,), [(0, 0)]),
        ((0,), [(2, 3)]),
        ((2, 0, 3), [(0, 0), (0, 0), (0, 1)]),
        ((2, 0, 3), [(0, 0), (1, 1), (0, 1)]),
        ((0, 4, 5, 3), [(0, 0), (1, 1), (1, 1), (0, 1)]),
        ((1, 4, 5, 0), [(0, 0), (1, 1), (1, 1), (0, 2)]),
    ]:
        vectors.add(f"empty {shape} in {padding}", reals(shape, 0.5, 146), 0.5, 146, padding)

    # Shapes of real models, scaled down in height and width.
    detector_input = [(0, 0), (1, 1), (1, 15), (0, 1)]
    for name, shape, padding, scale, zero_point in [
        ("classifier output", (1, 1, 1, 100), [(0, 0), (0, 0), (0, 0), (0, 28)], 0.1404, -61),
        ("detector boxes", (1, 5, 6, 64), [(0, 0)] * 4, 0.0912, -14),
        ("detector classes", (1, 5, 6, 80), [(0, 0), (0, 0), (0, 0), (0, 48)], 0.1713, 146),
        ("detector keypoints", (1, 5, 6, 51), [(0, 0), (0, 0), (0, 0), (0, 13)], 0.0512, 103),
        ("one channel", (1, 5, 6, 1), [(0, 0), (0, 0), (0, 0), (0, 63)], 0.0512, 110),
        ("batch of outputs", (4, 2, 3, 10), [(0, 0), (0, 0), (0, 0), (0, 54)], 0.05, 3),
        ("rows padded in front", (2, 3, 4, 5), [(0, 0), (1, 2), (2, 1), (3, 4)], 0.05, -128),
        ("float image, unit scale", (1, 16, 16, 3), detector_input, 1 / 255, -128),
    ]:
        vectors.add(name, reals(shape, scale, zero_point), scale, zero_point, padding)

    classifier_input = [(0, 0), (3, 3), (3, 13), (0, 1)]
    for name, shape, padding, scale, zero_point, (mean, std) in [
        ("image of a classifier", (1, 17, 16, 3), classifier_input, 0.018658448, -14, IMAGENET),
        ("image of a detector", (1, 16, 16, 3), detector_input, 0.003919653594, -128, ([0.0] * 3, [1.0] * 3)),
        ("batch of images", (4, 5, 7, 3), classifier_input, 0.0187, -14, IMAGENET),
        ("image without padding", (1, 6, 35, 3), None, 0.0187, -14, IMAGENET),
        ("image, channels not padded", (1, 6, 5, 3), [(0, 0), (1, 1), (2, 3), (0, 0)], 0.0187, -14, IMAGENET),
        ("image, one channel", (1, 6, 7, 1), [(0, 0), (1, 0), (0, 2), (0, 3)], 0.0061, 3, ([0.5], [0.25])),
        ("image, columns like channels", (1, 6, 3, 1), [(0, 0), (1, 0), (0, 1), (0, 0)], 0.0061, 3, ([0.5], [0.25])),
        ("image, four channels", (1, 6, 7, 4), [(0, 0), (1, 0), (1, 2), (0, 0)], 0.009, 146, ([0.4] * 4, [0.3] * 4)),
        ("image of rank 3", (6, 7, 3), [(1, 0), (0, 2), (0, 1)], 0.0187, -200, IMAGENET),
    ]:
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        vectors.add(name, pixels, scale, zero_point, padding, mean, std)

    here = Path(__file__).parent
    lines = ",\n".join(json.dumps(case) for case in vectors.cases)
    (here / "vectors.json").write_text(f"[\n{lines}\n]\n")
    (here / "vectors.bin").write_bytes(vectors.arrays)
    print(f"{len(vectors.cases)} cases, {len(vectors.arrays)} bytes of arrays, NumPy {np.__version__}")


if __name__ == "__main__":
    main()
