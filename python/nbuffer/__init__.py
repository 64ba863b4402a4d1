"""Runs a model or a kernel over a stream of items on an accelerator, N-way buffered, in order."""

from nbuffer._native import __version__ as __version__

from nbuffer._errors import ItemCancelled, ItemDropped, ItemError, StreamError
from nbuffer._pipeline import ImagePreprocess, Pipeline
from nbuffer._plan import Plan, plan, simulate
from nbuffer._report import Report

__all__ = [
    "ImagePreprocess",
    "ItemCancelled",
    "ItemDropped",
    "ItemError",
    "Pipeline",
    "Plan",
    "Report",
    "StreamError",
    "__version__",
    "plan",
    "simulate",
]
