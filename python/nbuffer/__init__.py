"""Runs a model or a kernel over a stream of items on an accelerator, N-way buffered, in order.

The objects of a vendor's runtime (`Context`, `Connection`, `Model`, `ModelInstance`) are here over any nbuffer device,
with what they raise in `nbuffer.errors`; `python -m nbuffer.axelera SCRIPT` runs a script written for theirs.
"""

from nbuffer import errors
from nbuffer._native import (
    Connection,
    Context,
    Model,
    ModelInstance,
    Object,
    TensorInfo,
    __version__,
)
from nbuffer._errors import ItemCancelled, ItemDropped, ItemError, StreamError
from nbuffer._pipeline import ImagePreprocess, Pipeline
from nbuffer._plan import Plan, Setting, plan, simulate
from nbuffer._report import Report
from nbuffer.devices import BoardType, DeviceInfo, ModelProperties
from nbuffer.tensors import depad, depad_dequantize, dequantize, pad, quantize, quantize_pad

__all__ = [
    "BoardType",
    "Connection",
    "Context",
    "DeviceInfo",
    "ImagePreprocess",
    "ItemCancelled",
    "ItemDropped",
    "ItemError",
    "Model",
    "ModelInstance",
    "ModelProperties",
    "Object",
    "Pipeline",
    "Plan",
    "Report",
    "Setting",
    "StreamError",
    "TensorInfo",
    "__version__",
    "depad",
    "depad_dequantize",
    "dequantize",
    "errors",
    "pad",
    "plan",
    "quantize",
    "quantize_pad",
    "simulate",
]
