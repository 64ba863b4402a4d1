"""Runs a model or a kernel over a stream of items on an accelerator, N-way buffered, in order."""

from nbuffer._native import __version__ as __version__

__all__ = ["__version__"]
