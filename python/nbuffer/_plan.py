"""What a pipeline could do: planned from its stage times, or simulated in virtual time with the real scheduler."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from nbuffer import _native
from nbuffer._report import Buffers, Report, _pick

if TYPE_CHECKING:
    import pandas as _pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]

Time = float | str
"""Seconds, or a text with a unit: `0.004` or `"4ms"`."""
Sets = int | str
"""Buffer sets of a lane, or inputs and outputs apart: `4` or `"4+3"`."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What stage times allow: the smallest period, what limits it, and how many buffer sets and host threads are enough.

    Times are seconds. `slack` says by how much of the period each other resource could take longer. `summary` has all of
    it, in the format of `nbuffer plan --json`.
    """

    period_s: float
    binding: str
    items_per_s: float
    wall_s: float | None
    slack: Mapping[str, float]
    lanes: int
    buffers: Buffers
    buffers_enough: int
    buffers_advised: int
    host_threads: int
    host_threads_enough: int
    latency_s: float
    residence_s: float
    device_busy: float
    cores_busy: float
    measured_period_s: float | None
    advice: tuple[str, ...]
    stages: Mapping[str, float]
    summary: Mapping[str, Any] = dataclasses.field(repr=False, compare=False)

    @classmethod
    def _of(cls, text: str) -> Plan:
        summary = json.loads(text)
        plan = summary["plan"]
        facts = {
            "measured_period_s": None,
            "wall_s": None,
            **summary,
            **plan,
            "slack": MappingProxyType(plan["slack"]),
            "buffers": _pick(Buffers, summary["buffers"]),
            "advice": tuple(plan["advice"]),
            "stages": MappingProxyType({name: stage["mean_s"] for name, stage in summary["stages"].items()}),
            "summary": MappingProxyType(summary),
        }
        return _pick(cls, facts)

    def to_pandas(self) -> _pandas.DataFrame:
        """One row, so that plans of several settings can be put together with `pandas.concat`."""
        import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]

        row = {
            "lanes": self.lanes,
            "inputs": self.buffers.inputs,
            "outputs": self.buffers.outputs,
            "host_threads": self.host_threads,
            "period_s": self.period_s,
            "items_per_s": 1.0 / self.period_s,
            "binding": self.binding,
            "residence_s": self.residence_s,
            "device_busy": self.device_busy,
            **{f"{name}_s": time for name, time in self.stages.items()},
            **{f"slack_{name}": slack for name, slack in self.slack.items()},
        }
        return pandas.DataFrame([row])


def plan(
    run: Report | str | os.PathLike[str] | None = None,
    *,
    items: int | None = None,
    ip: Time | None = None,
    w: Time | None = None,
    k: Time | None = None,
    r: Time | None = None,
    op: Time | None = None,
    cv: float | None = None,
    ip_cv: float | None = None,
    w_cv: float | None = None,
    k_cv: float | None = None,
    r_cv: float | None = None,
    op_cv: float | None = None,
    buffers: Sets | None = None,
    host_threads: Sets | None = None,
    lanes: int | None = None,
    overlap: Literal["queued", "blocking", "double-buffer"] | None = None,
    layout: Literal["joint", "split"] | None = None,
    link: Literal["full", "half"] | None = None,
    links: Literal["one", "per-lane"] | None = None,
    launch_overhead: Time | None = None,
    call: Time | None = None,
    source_interval: Time | None = None,
    bytes_in: int | str | None = None,
    bytes_out: int | str | None = None,
    memory_host: int | str | None = None,
    memory_device: int | str | None = None,
    latency_max: Time | None = None,
) -> Plan:
    """What period these stage times allow, and what limits it: `nbuffer plan` with its flags as keywords.

    `run` is the report of a run, or a file of `nbuffer run --summary`: what no keyword gives is taken from it. `items`
    asks how long a stream of so many takes. Buffers and host threads that are given nowhere are those the plan advises.
    Anything out of range is a `ValueError` that names the keyword.
    """
    given = {name: value for name, value in locals().items() if name != "run"}
    with _Flags(run, given) as flags:
        return Plan._of(_asked(_native.plan, flags))


def simulate(
    run: Report | str | os.PathLike[str] | None = None,
    *,
    items: int = 100,
    seed: int = 0,
    ip: Time | None = None,
    w: Time | None = None,
    k: Time | None = None,
    r: Time | None = None,
    op: Time | None = None,
    cv: float | None = None,
    ip_cv: float | None = None,
    w_cv: float | None = None,
    k_cv: float | None = None,
    r_cv: float | None = None,
    op_cv: float | None = None,
    buffers: Sets | None = None,
    host_threads: Sets | None = None,
    lanes: int | None = None,
    overlap: Literal["queued", "blocking", "double-buffer"] | None = None,
    layout: Literal["joint", "split"] | None = None,
    link: Literal["full", "half"] | None = None,
    links: Literal["one", "per-lane"] | None = None,
    launch_overhead: Time | None = None,
    call: Time | None = None,
    source_interval: Time | None = None,
    bytes_in: int | str | None = None,
    bytes_out: int | str | None = None,
    memory_host: int | str | None = None,
    memory_device: int | str | None = None,
    latency_max: Time | None = None,
    fail: int | str | Iterable[int | str] = (),
    stall: str | Iterable[str] = (),
    lose_lane: str | Iterable[str] = (),
    cancel_at: Time | None = None,
    host_change: str | None = None,
) -> Report:
    """Runs the scheduler of a real run in virtual time: `nbuffer simulate` with its flags as keywords.

    What comes back is the report of a run, with its timeline. `fail` names items (`7` or `"preprocess:7"`), `stall` an
    item and how late it comes (`"50:100ms"`), `lose_lane` a lane and when (`"0@20ms"`), `host_change` from which item on
    host stages take how many times as long (`"50:2.5"`).
    """
    given = {name: value for name, value in locals().items() if name != "run"}
    with _Flags(run, given) as flags:
        return Report._of(_asked(_native.simulate, flags))


_TIMES = {"ip", "w", "k", "r", "op", "launch_overhead", "call", "source_interval", "latency_max", "cancel_at"}


class _Flags:
    """Keywords as flags, and a file for the summary of a run that is in memory."""

    def __init__(self, run: Report | str | os.PathLike[str] | None, given: Mapping[str, Any]) -> None:
        self._flags = [flag for name, value in given.items() for flag in _flag(name, value)]
        self._run = run
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> list[str]:
        if self._run is None:
            return self._flags
        if isinstance(self._run, Report):
            self._folder = tempfile.TemporaryDirectory(prefix="nbuffer-")
            path = Path(self._folder.name) / "run.json"
            path.write_text(json.dumps(dict(self._run.summary)), encoding="utf-8")
        else:
            path = Path(self._run)
        return [*self._flags, f"--from={path}"]

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _flag(name: str, value: Any) -> Iterable[str]:
    if value is None:
        return
    flag = "--" + name.replace("_", "-")
    for one in value if isinstance(value, Iterable) and not isinstance(value, str) else (value,):
        if name in _TIMES and isinstance(one, (int, float)) and not isinstance(one, bool):
            # A negative time, an infinite one or none is told as it was given.
            one = f"{one * 1e9:.0f}ns" if one >= 0 and one != float("inf") else f"{one}s"
        yield f"{flag}={one}"


def _asked(ask: Any, flags: list[str]) -> Any:
    try:
        return ask(flags)
    except ValueError as error:
        said = re.sub(r"--([a-z][a-z-]*)", lambda flag: flag[1].replace("-", "_"), str(error))
        raise ValueError(said) from None
