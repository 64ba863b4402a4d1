"""The pipeline one would write by hand."""

from __future__ import annotations

import inspect
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from nbuffer import _defaults, _native
from nbuffer._errors import ItemDropped
from nbuffer._live import Live, Results
from nbuffer._report import Report
from nbuffer._stream import Last, Run

Side = int | tuple[int, int]
PerChannel = float | Sequence[float]


@dataclass(frozen=True)
class ImagePreprocess:
    """Images into a model's input, on nbuffer's own threads, without the interpreter.

    Items are paths, the bytes of PNG or JPEG files, or uint8 arrays of shape (height, width, 3) or (height, width).
    Pixels `x`, on the scale 0 to 1, become `(x - mean) / std` per channel, quantised and padded as the input wants it.

    Without `resize` and `crop` an image is stretched to the input's size, bilinear as OpenCV's `INTER_LINEAR`. `crop`
    takes the middle of so many pixels out of an image whose shorter side was scaled to `resize` (by default to the
    crop's larger side). `resize=(height, width)` says what stretching ends with, and is checked against the input.
    `mean` and `std` are the model's own unless given.
    """

    resize: Side | None = None
    crop: Side | None = None
    mean: PerChannel | None = None
    std: PerChannel | None = None

    def _native(self) -> tuple[int | None, tuple[int, int] | None, list[float] | None, list[float] | None]:
        crop = (self.crop, self.crop) if isinstance(self.crop, int) else self.crop
        mean, std = _per_channel(self.mean, "mean"), _per_channel(self.std, "std")
        if isinstance(self.resize, tuple):
            if crop is not None:
                raise ValueError("resize=(height, width) stretches, and leaves nothing to crop: give resize=shorter side")
            return None, self.resize, mean, std
        if crop is None and self.resize is not None:
            raise ValueError(
                "resize=shorter side leaves images of any width: give crop too, or resize=(height, width) to stretch"
            )
        return (None if crop is None else self.resize or max(crop)), crop, mean, std


def _per_channel(values: PerChannel | None, name: str) -> list[float] | None:
    if values is None:
        return None
    if isinstance(values, (int, float)):
        return [float(values)] * 3
    if len(values) != 3:
        raise ValueError(f"{name} has {len(values)} values: one, or one each for red, green and blue, is expected")
    return [float(value) for value in values]


@dataclass(frozen=True)
class _Options:
    """What the native pipeline reads off."""

    model: str | _native.Model
    devices: list[str]
    engine: str
    ort_library: str | None
    cores: int | None
    buffers: int | None
    double_buffer: bool | None
    host_threads: int | None
    latency_max_s: float | None
    watchdog_s: float | None
    in_order: bool
    raw: bool


class Pipeline:
    """A model over a stream of items, N-way buffered: results in order, each with the item it belongs to.

        for item, outputs in nbuffer.Pipeline("model", preprocess=load, device="sim:metis").run(items):
            ...

    `preprocess` is one of

    - `None`: items are arrays, or lists with one for each input;
    - `preprocess(item)`, which returns them; floats are quantised and padded, int8 arrays are taken as they are, with or
      without their padding;
    - `preprocess(item, out)`, which writes them in place: `out` is an array (or a list) of the input's own type and
      padded shape, and holds what an earlier item left there;
    - `nbuffer.ImagePreprocess(...)`, which needs no interpreter.

    `postprocess(item, outputs)` makes the result of an item; without it the result is `outputs`: a list with an array for
    each output, as real numbers without padding, or with `outputs="raw"` as the device gave them.

    Callables run on several threads at once. What they raise costs the item alone: it is an `ItemError` that carries the
    item, raised in its place or given as its result.

    | argument | |
    |---|---|
    | `model` | a directory, a file, or a loaded `Model` |
    | `device` | a name, or several; those of `NBUFFER_DEVICE` unless given, else `cpu` |
    | `engine` | what computes where a device is simulated or is this machine; that of `NBUFFER_ENGINE`, else `rten` |
    | `cores` | cores of each device to use; as many as it has |
    | `buffers`, `host_threads` | buffer sets of a lane, and threads for callables; chosen while the stream runs |
    | `double_buffer` | transfer and compute overlap inside a lane; tried out before the stream begins |
    | `latency_max` | seconds an item may take on average, from its take to its result; fewer buffers are used then |
    | `watchdog` | seconds a device call may take until the device counts as lost; `None`: as long as it likes |
    | `order` | results in the order of the items, or as they are completed |
    | `on_error` | `"raise"` an item's error, which ends a `run`, or give it as the item's `"value"` |
    | `overload`, `inbox` | a submitted item that finds `inbox` others waiting waits too, or one is dropped: the oldest or this one |
    | `on_drop` | called with the `ItemDropped` of each, at once, on the thread that submits |

    Wrong arguments are a `TypeError` or `ValueError`, a model that cannot be read an `OSError`, and what the device cannot do a
    `RuntimeError`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | _native.Model,
        *,
        preprocess: Callable[..., Any] | ImagePreprocess | None = None,
        postprocess: Callable[[Any, list[Any]], Any] | None = None,
        device: str | Sequence[str] | None = None,
        engine: Literal["rten", "ort"] | None = None,
        cores: int | None = None,
        buffers: Literal["auto"] | int = "auto",
        double_buffer: Literal["auto"] | bool = "auto",
        host_threads: Literal["auto"] | int = "auto",
        latency_max: float | None = None,
        watchdog: float | None = 30.0,
        order: Literal["in-order", "completed"] = "in-order",
        on_error: Literal["raise", "value"] = "raise",
        outputs: Literal["float", "raw"] = "float",
        overload: Literal["wait", "drop-oldest", "drop-newest"] = "wait",
        inbox: int = 16,
        on_drop: Callable[[ItemDropped], object] | None = None,
    ) -> None:
        _one_of("order", order, ("in-order", "completed"))
        _one_of("on_error", on_error, ("raise", "value"))
        _one_of("outputs", outputs, ("float", "raw"))
        _one_of("overload", overload, ("wait", "drop-oldest", "drop-newest"))
        if postprocess is not None and not callable(postprocess):
            raise TypeError(f"postprocess is {postprocess!r}: a callable of (item, outputs) is expected")
        if on_drop is not None and not callable(on_drop):
            raise TypeError(f"on_drop is {on_drop!r}: a callable of (ItemDropped) is expected")
        if isinstance(inbox, bool) or not isinstance(inbox, int):
            raise TypeError(f"inbox is {inbox!r}: a whole number is expected")
        engine_name, library = _defaults.engine(engine)
        options = _Options(
            model=model if isinstance(model, _native.Model) else os.fspath(model),
            devices=_defaults.devices(device),
            engine=engine_name,
            ort_library=None if library is None else str(library),
            cores=cores,
            buffers=_count("buffers", buffers),
            double_buffer=_switch("double_buffer", double_buffer),
            host_threads=_count("host_threads", host_threads),
            latency_max_s=latency_max,
            watchdog_s=watchdog,
            in_order=order == "in-order",
            raw=outputs == "raw",
        )
        self._native = _native.Pipeline(options, _preprocess(preprocess), postprocess)
        self._on_error = on_error
        self._on_drop = on_drop
        self._overload = overload
        self._inbox = inbox
        # A stream ends when its iterator is dropped: the pipeline does not keep it.
        self._run: weakref.ref[Run] | None = None
        self._live: Live | None = None
        self._last = Last()
        self._opening = threading.Lock()

    def run(self, items: Iterable[Any]) -> Run:
        """The results of `items`, an iterator over (item, outputs) in their order.

        The iterable is asked on a thread of the pipeline, as far ahead as there is room; a generator that raises ends
        the stream with its exception, after the results before it. Leaving the loop early, or closing the iterator,
        cancels what has not started. `async for` works too.
        """
        if self._running() is not None:
            raise RuntimeError("this pipeline runs a stream already: take its results to the end, or close it")
        if self._live is not None and not self._live.is_closed:
            raise RuntimeError("this pipeline takes submitted items: close it before it runs others")
        run = Run(self._native.run(items), self._on_error, self._last)
        self._run = weakref.ref(run)
        return run

    def submit(self, item: Any, tag: Any = None, *, timeout: float | None = None) -> Future[Any]:
        """Submits one item; its future gives its outputs, or raises why there are none. Any thread may submit.

        An item that finds no room waits for it, no longer than `timeout` seconds (`TimeoutError`), or by the
        `overload` policy one is dropped: its future raises `ItemDropped` at once.
        """
        return self._submitted().submit(item, tag, timeout)

    async def submit_async(self, item: Any, tag: Any = None) -> Any:
        """Submits one item and gives its outputs, without blocking the event loop."""
        return await self._submitted().submit_async(item, tag)

    def results(self) -> Results:
        """The results of submitted items, an iterator over (tag, outputs) in the order they were submitted, until
        `finish` or `close`. Where no tag was given it is the item itself. `async for` works too.

        Call it before the first item is submitted. While there is such an iterator nothing outruns it: if it is slow,
        items wait at the inbox. Dropped items are not among them: `on_drop` sees each, `dropped` counts them.
        """
        return self._submitted().results()

    def finish(self) -> None:
        """No more items are submitted: those that were are done, and `results` ends with the last one."""
        if self._live is not None:
            self._live.finish()

    def close(self, cancel: bool = False) -> None:
        """Ends everything that runs. Submitted items are done first, unless `cancel`; a `run` is cancelled. May be called
        any number of times, and the pipeline used again."""
        run = self._running()
        if run is not None:
            run.close()
        if self._live is not None:
            self._live.close(cancel)

    @property
    def report(self) -> Report:
        """How the last stream went, or goes."""
        run, live = self._running(), self._live
        if run is not None:
            return run.report
        if live is not None and not live.is_gone:
            return live.report
        if self._last.ended is None:
            raise RuntimeError("this pipeline has run nothing yet")
        return self._last.ended.report

    @property
    def dropped(self) -> int:
        """How many submitted items have been dropped so far, by the `overload` policy, since the first `submit` or
        `results` (after `close`: since the next one). Cheap enough to ask for at every item."""
        return 0 if self._live is None else self._live.dropped

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def __del__(self) -> None:
        # Items that were submitted are still done, and their futures told.
        live = getattr(self, "_live", None)
        if live is not None:
            live.finish()

    def _running(self) -> Run | None:
        run = None if self._run is None else self._run()
        return None if run is None or run.is_closed else run

    def _submitted(self) -> Live:
        if self._running() is not None:
            raise RuntimeError("this pipeline runs a stream: take its results to the end, or close it")
        with self._opening:
            if self._live is None or self._live.is_closed:
                running = self._native.live(self._inbox, self._overload)
                self._live = Live(running, self._on_error, self._on_drop, self._last)
            return self._live


def _preprocess(preprocess: Callable[..., Any] | ImagePreprocess | None) -> tuple[str, Any]:
    if preprocess is None:
        return "arrays", None
    if isinstance(preprocess, ImagePreprocess):
        return "image", preprocess._native()
    if not callable(preprocess):
        raise TypeError(f"preprocess is {preprocess!r}: a callable, an ImagePreprocess or None is expected")
    return ("in-place" if _takes_two(preprocess) else "call"), preprocess


def _takes_two(callable: Callable[..., Any]) -> bool:
    """Whether a callable must be given a second argument, or calls it `out`."""
    try:
        parameters = list(inspect.signature(callable).parameters.values())
    except (TypeError, ValueError):
        return False
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(places) > 1 and (places[1].default is places[1].empty or places[1].name == "out")


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}: one of {', '.join(map(repr, allowed))} is expected")


def _count(name: str, value: object) -> int | None:
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}: 'auto' or a whole number is expected")
    if value < 1:
        raise ValueError(f"{name} is {value}: at least 1 is possible")
    return value


def _switch(name: str, value: object) -> bool | None:
    if value == "auto":
        return None
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: 'auto', True or False is expected")
    return value
