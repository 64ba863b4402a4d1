"""Quantising and padding against the formulas, written in NumPy."""

import copy
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import nbuffer
from nbuffer import errors

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]

INFOS = [
    nbuffer.TensorInfo((1, 10, 16, 4), padding=[(0, 0), (1, 1), (1, 7), (0, 1)], scale=1 / 64, zero_point=-78),
    nbuffer.TensorInfo((1, 1, 1, 1024), padding=[(0, 0), (0, 0), (0, 0), (0, 24)], scale=0.1, zero_point=146),
    nbuffer.TensorInfo((2, 6, 5, 3), scale=0.003919653594, zero_point=-128),
    nbuffer.TensorInfo((4, 20), padding=[(0, 0), (3, 2)], scale=0.5, zero_point=3),
]


def reals(info: nbuffer.TensorInfo) -> Float32:
    """Reals within the range and beyond it, with ties."""
    random = np.random.default_rng(7)
    q = random.uniform(-160, 160, info.unpadded_shape)
    q = np.where(random.random(q.shape) < 0.3, np.floor(q) + 0.5, q)
    return ((q - info.zero_point) * info.scale).astype(np.float32)


def formula_quantize(x: Float32, info: nbuffer.TensorInfo) -> Int8:
    return np.clip(np.round(x / info.scale + info.zero_point), -128, 127).astype(np.int8)


def formula_pad(q: Int8, info: nbuffer.TensorInfo) -> Int8:
    return np.pad(q, info.padding, constant_values=max(-128, min(127, info.zero_point)))


def formula_depad(q: Int8, info: nbuffer.TensorInfo) -> Int8:
    return q[tuple(slice(b, n - a) for n, (b, a) in zip(info.shape, info.padding))]


def formula_dequantize(q: Int8, info: nbuffer.TensorInfo) -> Float32:
    return ((q.astype(np.float32) - info.zero_point) * info.scale).astype(np.float32)


@pytest.mark.parametrize("info", INFOS, ids=str)
def test_bit_for_bit_the_formulas(info: nbuffer.TensorInfo) -> None:
    x = reals(info)
    q = formula_quantize(x, info)
    padded = formula_pad(q, info)
    for given, expected in [
        (nbuffer.quantize(x, info), q),
        (nbuffer.pad(q, info), padded),
        (nbuffer.quantize_pad(x, info), padded),
        (nbuffer.depad(padded, info), q),
        (nbuffer.depad(padded, info, copy=False), q),
        (nbuffer.dequantize(q, info), formula_dequantize(q, info)),
        (nbuffer.depad_dequantize(padded, info), formula_dequantize(q, info)),
    ]:
        assert given.dtype == expected.dtype and given.shape == expected.shape
        assert given.tobytes() == expected.tobytes()


@pytest.mark.parametrize("info", INFOS, ids=str)
def test_into_out(info: nbuffer.TensorInfo) -> None:
    x = reals(info)
    q = formula_quantize(x, info)
    padded = formula_pad(q, info)
    conversions: list[tuple[Any, Any, Any]] = [
        (nbuffer.quantize, x, q),
        (nbuffer.pad, q, padded),
        (nbuffer.quantize_pad, x, padded),
        (nbuffer.depad, padded, q),
        (nbuffer.dequantize, q, formula_dequantize(q, info)),
        (nbuffer.depad_dequantize, padded, formula_dequantize(q, info)),
    ]
    for convert, array, expected in conversions:
        # Sizes count, not shapes.
        out = np.full(expected.size, 77, expected.dtype)
        assert convert(array, info, out=out) is out
        assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("info", INFOS, ids=str)
def test_in_place(info: nbuffer.TensorInfo) -> None:
    q = formula_quantize(reals(info), info)
    padded = np.full(info.shape, 77, np.int8)
    inside = nbuffer.depad(padded, info, copy=False)
    assert inside.base is not None and np.shares_memory(inside, padded)
    inside[:] = q
    assert nbuffer.pad(padded, info, out=padded) is padded
    assert padded.tobytes() == formula_pad(q, info).tobytes()
    padded.flags.writeable = False
    with pytest.raises(errors.InvalidArgument, match="read-only"):
        nbuffer.pad(padded, info, out=padded)


def test_special_values() -> None:
    info = nbuffer.TensorInfo((1, 5), scale=0.5, zero_point=3)
    x = np.array([np.nan, np.inf, -np.inf, 1e30, 0.25], np.float32)
    assert nbuffer.quantize(x, info).tolist() == [[3, 127, -128, 127, 4]]


@pytest.mark.parametrize(
    ("array", "out", "said"),
    [
        (np.zeros(15), None, "the array is an array of float64, float32 is needed"),
        (np.zeros(14, np.float32), None, "14 elements, 15 are needed"),
        (np.zeros(30, np.float32)[::2], None, "the array is not contiguous"),
        ([0.0] * 15, None, "the array is a list, a NumPy array is needed"),
        (np.zeros(15, np.float32), np.zeros(15, np.float32), "out is an array of float32, int8 is needed"),
        (np.zeros(15, np.float32), np.zeros(16, np.int8), "16 elements, 15 are needed"),
        (np.zeros(15, np.float32), np.zeros(30, np.int8)[::2], "out is not contiguous"),
        (np.zeros(15, np.float32), np.frombuffer(bytes(15), np.int8), "out is read-only"),
    ],
)
def test_arrays_that_do_not_fit(array: Any, out: Any, said: str) -> None:
    info = nbuffer.TensorInfo((1, 15))
    with pytest.raises(errors.InvalidArgument, match=said):
        nbuffer.quantize(array, info, out=out)


def test_a_tensor_is_a_value() -> None:
    info = INFOS[0]
    for other in (copy.copy(info), copy.deepcopy(info), pickle.loads(pickle.dumps(info))):
        assert other == info and hash(other) == hash(info) and repr(other) == repr(info)
    assert len({*INFOS, *map(copy.copy, INFOS)}) == len(INFOS)
    assert info != INFOS[1]
    assert nbuffer.TensorInfo((2, 3)).padding == [(0, 0), (0, 0)]
    assert nbuffer.TensorInfo((2, 3), np.float32, "x").size == 24


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        (((1, 4), np.float64), {}, "cannot have elements of float64"),
        (((1, 4),), {"padding": [(0, 5), (0, 0)]}, "padding"),
        (((1, 4),), {"scale": 0.0}, "scale"),
        (((1,) * 9,), {}, "9 dimensions"),
    ],
)
def test_tensors_that_cannot_be(args: Any, kwargs: Any, said: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=said):
        nbuffer.TensorInfo(*args, **kwargs)
