"""How a stream went."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from nbuffer._native import Report as NativeReport

if TYPE_CHECKING:
    import os

    import pandas as _pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Items:
    """Items by how they ended: taken is ok + failed + cancelled. Dropped ones were never taken. Of a stream that was left
    early, only those whose results were handed out count."""

    taken: int
    ok: int
    failed: int
    cancelled: int
    dropped: int = 0


@dataclasses.dataclass(frozen=True)
class Buffers:
    """The buffer sets of each lane, who chose them and why."""

    depth: int
    layout: str
    inputs: int
    outputs: int
    chosen_by: str
    why: str


@dataclasses.dataclass(frozen=True)
class Latency:
    """From take to result, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclasses.dataclass(frozen=True)
class Stage:
    """Durations of one stage, in seconds."""

    mean_s: float
    p50_s: float
    p99_s: float
    busy_s: float


@dataclasses.dataclass(frozen=True)
class Kernel:
    """How busy the compute units were, in seconds summed over them, and what their downtime was spent waiting for."""

    busy_s: float
    downtime_s: float
    downtime_fraction: float
    fill_s: float
    drain_s: float
    causes_s: Mapping[str, float]
    why: str | None


@dataclasses.dataclass(frozen=True)
class Reached:
    """What the stage times would allow, beside what was reached."""

    period_s: float
    binding: str
    measured_period_s: float | None
    efficiency: float | None
    buffers_enough: int
    buffers_advised: int
    host_threads_enough: int
    advice: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """How a stream went: what `nbuffer run` says at its end. Times are seconds, rates a second.

    Printed it is the closing table; in a notebook it is that table with a timeline picture. `summary` has everything, in
    the stable format of `nbuffer run --summary`.
    """

    model: str | None
    device: tuple[str, ...]
    engine: str | None
    lanes: int
    buffers: Buffers
    double_buffer: bool
    host_threads: int
    items: Items
    interrupted: bool
    wall_s: float
    items_per_s: float
    latency_s: Latency | None
    stages: Mapping[str, Stage]
    kernel: Kernel | None
    plan: Reached | None
    likely_cause: str | None
    remarks: tuple[str, ...]
    summary: Mapping[str, Any] = dataclasses.field(repr=False, compare=False)
    _native: NativeReport = dataclasses.field(repr=False, compare=False)

    @classmethod
    def _of(cls, native: NativeReport, dropped: int = 0) -> Report:
        summary = json.loads(native.json())
        kernel = summary.get("kernel")
        plan = summary.get("plan")
        latency = summary.get("latency_s")
        return cls(
            model=summary.get("model"),
            device=tuple(summary.get("device", ())),
            engine=summary.get("engine"),
            lanes=summary["lanes"],
            buffers=_pick(Buffers, summary["buffers"]),
            double_buffer=summary["double_buffer"],
            host_threads=summary["host_threads"],
            items=Items(**summary["items"], dropped=dropped),
            interrupted=summary["interrupted"],
            wall_s=summary["wall_s"],
            items_per_s=summary["items_per_s"],
            latency_s=_pick(Latency, latency) if latency else None,
            stages=MappingProxyType({name: _pick(Stage, stage) for name, stage in summary["stages"].items()}),
            kernel=_pick(Kernel, {"causes_s": {}, "why": None, **kernel}) if kernel else None,
            plan=_reached(plan) if plan else None,
            likely_cause=summary.get("likely_cause"),
            remarks=tuple(summary.get("remarks", ())),
            summary=MappingProxyType(summary),
            _native=native,
        )

    def timeline(self, width: int = 80) -> str:
        """Who was busy with which item when, in characters."""
        return self._native.timeline(width)

    def to_pandas(self) -> _pandas.DataFrame:
        """What each item did when, a row a step: item, stage, unit, lane, start_s, end_s. Of a long stream the beginning
        and the end."""
        import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]

        table = pandas.DataFrame(self._native.spans(), columns=["item", "stage", "unit", "lane", "start_s", "end_s"])
        table[["start_s", "end_s"]] /= 1e9
        return table

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page that `nbuffer run --report` writes: one file, which opens without a network."""
        Path(path).write_text(self._native.page(), encoding="utf-8")

    def __str__(self) -> str:
        dropped = f"  dropped     {self.items.dropped} before they were taken\n" if self.items.dropped else ""
        return (self._native.text() + dropped).rstrip("\n")

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>\n{self._native.svg()}"


def _reached(plan: Mapping[str, Any]) -> Reached:
    return _pick(
        Reached, {"measured_period_s": None, "efficiency": None, **plan, "advice": tuple(plan.get("advice", ()))}
    )


def _pick(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass of the values it has fields for: a summary may have more."""
    fields: Any = kind
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(fields)})
