"""What the pipeline raises."""

from __future__ import annotations

from typing import Any


class ItemError(RuntimeError):
    """One item has no result; all others are unaffected.

    `item` is what was given, `sequence` its number from 0, `tag` what was submitted with it, and `step` where it was:
    `"preprocess"`, `"device"`, `"postprocess"`, `"cancelled"` or `"dropped"`. What a callback raised is `__cause__`.
    """

    def __init__(
        self, message: str, *, item: Any = None, sequence: int | None = None, tag: Any = None, step: str = ""
    ) -> None:
        super().__init__(message)
        self.item = item
        self.sequence = sequence
        self.tag = tag
        self.step = step


class ItemCancelled(ItemError):
    """The stream was closed before the item was done."""


class ItemDropped(ItemError):
    """The item made room for another one, as the pipeline's overload policy has it."""


class StreamError(RuntimeError):
    """The stream ended before its items did: every lane is lost, or it cannot be run as asked."""
