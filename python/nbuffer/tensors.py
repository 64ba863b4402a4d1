"""Into and out of int8 tensors, on NumPy arrays: the formulas of vendors' documents, bit for bit, without the GIL.

Every function takes the array and the tensor's `TensorInfo`, checks element type and size (not shape), and writes into
`out=` if that is given, which it returns; a new array has the shape that the `TensorInfo` says.

    q = clip(round(x / scale + zero_point), -128, 127)      ties to even, in float32
    x = (q - zero_point) * scale
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nbuffer import _native
from nbuffer._native import TensorInfo, dequantize, depad_dequantize, quantize, quantize_pad
from nbuffer.errors import InvalidArgument

__all__ = ["depad", "depad_dequantize", "dequantize", "pad", "quantize", "quantize_pad"]

_Int8 = npt.NDArray[np.int8]


def pad(q: _Int8, info: TensorInfo, *, out: _Int8 | None = None) -> _Int8:
    """Puts integers into a padded tensor, whose padding becomes the zero point, clamped to int8.

    In place with `out=q`: then `q` is the padded tensor, its data is there already (see `depad` with `copy=False`), and
    only its padding is written.
    """
    if out is None or out is not q:
        return _native.pad(q, info, out=out)
    padded = _padded(q, info)
    if not padded.flags.writeable:
        raise InvalidArgument("the array is read-only, it must be written")
    value = max(-128, min(127, info.zero_point))
    for axis, (before, after) in enumerate(info.padding):
        margins = np.moveaxis(padded, axis, 0)
        margins[:before] = value
        margins[len(margins) - after :] = value
    return q


def depad(
    q: _Int8, info: TensorInfo, *, out: _Int8 | None = None, copy: bool = True
) -> _Int8:
    """Takes the data out of a padded tensor. With `copy=False` it stays where it is, and a view of it comes back."""
    if copy:
        return _native.depad(q, info, out=out)
    if out is not None:
        raise InvalidArgument("out= is for a copy, and copy=False makes none")
    inside = (slice(before, size - after) for size, (before, after) in zip(info.shape, info.padding))
    return _padded(q, info)[tuple(inside)]


def _padded(q: npt.NDArray[Any], info: TensorInfo) -> _Int8:
    """A view of all of `q` in the padded shape."""
    if q.dtype != np.int8 or info.dtype != np.int8:
        raise InvalidArgument(f"the array is one of {q.dtype}, the tensor of {info.dtype}, int8 is needed")
    if q.size != info.size:
        raise InvalidArgument(f"the array has {q.size} elements, the padded tensor has {info.size}")
    if q.shape != info.shape and not q.flags.c_contiguous:
        raise InvalidArgument("the array is not contiguous, and not of the padded shape either")
    return q.reshape(info.shape)
