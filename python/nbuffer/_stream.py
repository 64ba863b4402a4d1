"""A stream of items from an iterable, and the iterator over its results."""

from __future__ import annotations

import asyncio
import atexit
import functools
import itertools
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from nbuffer import _native
from nbuffer._errors import ItemCancelled, ItemError, StreamError
from nbuffer._report import Report

T = TypeVar("T")


class Ended:
    """How a stream went that is gone; put into words when somebody asks."""

    def __init__(self, native: _native.Report, dropped: int = 0) -> None:
        self._native = native
        self._dropped = dropped

    @functools.cached_property
    def report(self) -> Report:
        return Report._of(self._native, self._dropped)


class Last:
    """A pipeline's last stream, if it is gone."""

    ended: Ended | None = None


class Stream(Protocol):
    """What has threads of its own."""

    def close(self, cancel: bool = ...) -> None: ...


# Threads of a stream need the interpreter, and must be gone before it is.
open_streams: weakref.WeakSet[Stream] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for stream in list(open_streams):
        stream.close(cancel=True)


class Finished(NamedTuple):
    """What became of one item."""

    sequence: int
    item: Any
    token: Any
    value: Any
    error: ItemError | None


def finished(result: _native._Result) -> Finished:
    sequence, item, token, value, failure = result
    if failure is None:
        return Finished(sequence, item, token, value, None)
    step, why, cause = failure
    kind = ItemCancelled if step == "cancelled" else ItemError
    reason = f"{step} failed: {_said(cause) if cause is not None else why}" if step != "cancelled" else why
    error = kind(f"item {sequence} ({_shown(item)}): {reason}", item=item, sequence=sequence, step=step)
    error.__cause__ = cause
    return Finished(sequence, item, token, None, error)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _shown(item: Any) -> str:
    """An item in a few words, whatever it is."""
    try:
        text = repr(item)
    except Exception:
        text = f"a {type(item).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


class Run:
    """The results of a stream: an iterator over (item, outputs), in order. Closing it, or dropping it, ends the stream."""

    def __init__(self, running: _native.Running, on_error: str, last: Last) -> None:
        self._running = running
        self._on_error = on_error
        self._last = last
        self._ended: Ended | None = None
        self.is_closed = False
        open_streams.add(self)

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> tuple[Any, Any]:
        if self.is_closed:
            raise StopIteration
        try:
            result = self._running.next()
        except BaseException:
            self.close()
            raise
        if result is None:
            self._end()
            raise StopIteration
        done = finished(result)
        if done.error is None:
            return done.item, done.value
        if self._on_error == "value":
            return done.item, done.error
        self.close()
        raise done.error

    def _end(self) -> None:
        """Closes a stream that has no more results; says why, if that was not for want of items."""
        raised, cut_short = self._running.source_error(), self._running.cut_short()
        self.close()
        if raised is not None:
            raise raised
        if cut_short is not None:
            raise StreamError(f"the stream ended early: {cut_short}")

    def __aiter__(self) -> Run:
        return self

    async def __anext__(self) -> tuple[Any, Any]:
        return await next_in_thread(self)

    def close(self, cancel: bool = True) -> None:
        """Cancels what has not started, and ends the stream. May be called any number of times."""
        if not self.is_closed:
            self.is_closed = True
            self._running.cancel()
            native = self._running.report()
            if native is not None:
                self._ended = self._last.ended = Ended(native)
            self._running.close()

    @property
    def report(self) -> Report:
        """How it goes, or went."""
        native = self._running.report() if self._ended is None else None
        if native is not None:
            return Report._of(native)
        assert self._ended is not None, "a stream leaves its report before it is gone"
        return self._ended.report

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Not there when the constructor was interrupted.
        if not getattr(self, "is_closed", True):
            self.close()


async def next_in_thread(iterator: Iterator[T]) -> T:
    """The next of an iterator that may block, without blocking the event loop."""
    # A StopIteration cannot pass through a future.
    following: Callable[[], list[T]] = functools.partial(_next, iterator)
    for value in await asyncio.get_running_loop().run_in_executor(None, following):
        return value
    raise StopAsyncIteration


def _next(iterator: Iterator[T]) -> list[T]:
    """The next one, or nothing."""
    return list(itertools.islice(iterator, 1))
