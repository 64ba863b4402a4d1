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
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from nbuffer import _native
from nbuffer._report import Buffers, Report, _pick

if TYPE_CHECKING:
    import pandas as _pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from typing_extensions import Unpack

Time = float | str
"""Seconds, or a text with a unit: `0.004` or `"4ms"`."""
Sets = int | str
"""Buffer sets of a lane, or inputs and outputs apart: `4` or `"4+3"`."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What stage times allow: the smallest period, what limits it, and how many buffer sets and host threads are enough.

    Times are seconds, rates a second. `device_busy` and `cores_busy` are shares of the period. `slack` says by how much of the period each other resource could take longer. `summary` has all of
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


class Setting(TypedDict, total=False):
    """What a plan or a simulation is of, as keywords: the flags of `nbuffer plan`. What is not given is taken from the run,
    or is as said here.

    A time is seconds, or a text with a unit such as `"4ms"`; bytes are a number or a text such as `"1.5MiB"`.
    """

    ip: Time
    """Preprocess, on a host thread. This and the four below: 0 where there are any others."""
    w: Time
    """Write: from the host to the device."""
    k: Time
    """Kernel."""
    r: Time
    """Read: from the device to the host."""
    op: Time
    """Postprocess, on a host thread."""
    cv: float
    """How much all these times vary: standard deviation over mean; 0. The five below: one of them alone."""
    ip_cv: float
    w_cv: float
    k_cv: float
    r_cv: float
    op_cv: float
    buffers: Sets
    """Buffer sets of each lane, or inputs and outputs apart as `"4+3"`; as many as are advised. `simulate` takes `"auto"` too,
    and chooses while the stream runs, as a run does."""
    host_threads: Sets
    """Threads for preprocess and postprocess, or for one each as `"3+1"`; as many as are enough."""
    lanes: int
    """Lanes, each with a compute unit and buffer sets of its own; 1."""
    overlap: Literal["queued", "blocking", "double-buffer"]
    """Write, kernel and read of a lane: engines with queues, one after the other in a call, or all three in a call for three
    items; queued."""
    layout: Literal["joint", "split"]
    """Buffer sets that travel whole, or inputs and outputs recycled apart; joint."""
    link: Literal["full", "half"]
    """Whether the two directions of a link share one channel (half); full."""
    links: Literal["one", "per-lane"]
    """One link for all lanes, or one for each; one."""
    launch_overhead: Time
    """What a launch costs that no queue hides; 0."""
    call: Time
    """What a call takes in all on a lane that blocks, if more than its stages."""
    source_interval: Time
    """Time between two items of the source; it always has one ready."""
    bytes_in: int | str
    """Input bytes of one buffer set."""
    bytes_out: int | str
    """Output bytes of one buffer set."""
    memory_host: int | str
    """Host memory for buffer sets; no limit."""
    memory_device: int | str
    """Device memory for buffer sets; no limit."""
    latency_max: Time
    """How long an item may stay, waiting included; no limit."""


def plan(
    run: Report | str | os.PathLike[str] | None = None, *, items: int | None = None, **setting: Unpack[Setting]
) -> Plan:
    """What period these stage times allow, and what limits it: `nbuffer plan` with its flags as keywords.

        nbuffer.plan(ip=0.004, k="2ms", op="1ms", host_threads=2).items_per_s
        nbuffer.plan(pipeline.report, buffers=4)

    `run` is the report of a run, or a file of `nbuffer run --summary`: what no keyword gives is taken from it. `items`
    asks how long a stream of so many takes. Buffers and host threads that are given nowhere are those the plan advises.
    Anything out of range is a `ValueError` that names the keyword.

    The keywords are those of `nbuffer.Setting`: times `ip`, `w`, `k`, `r`, `op` of preprocess, write, kernel, read and
    postprocess, in seconds or with a unit, and how they vary (`cv`, `ip_cv`, `w_cv`, `k_cv`, `r_cv`, `op_cv`); `buffers`,
    `host_threads`, `lanes`; `overlap`, `layout`, `link`, `links`; `launch_overhead`, `call`, `source_interval`; `bytes_in`,
    `bytes_out`, `memory_host`, `memory_device`; `latency_max`.
    """
    with _Flags(run, _setting("plan", setting), items=items) as flags:
        return Plan._of(_asked(_native.plan, flags))


def simulate(
    run: Report | str | os.PathLike[str] | None = None,
    *,
    items: int = 100,
    seed: int = 0,
    fail: int | str | Iterable[int | str] = (),
    stall: str | Iterable[str] = (),
    lose_lane: str | Iterable[str] = (),
    cancel_at: Time | None = None,
    host_change: str | None = None,
    **setting: Unpack[Setting],
) -> Report:
    """Runs the scheduler of a real run in virtual time: `nbuffer simulate` with its flags as keywords.

        print(nbuffer.simulate(ip="4ms", k="2ms", cv=0.3, items=1000))

    What comes back is the report of a run, with its timeline. `run` and the other keywords are those of `plan`; with
    times that vary, `seed` repeats a stream. `fail` names items (`7` or `"preprocess:7"`), `stall` an item and how late it
    comes (`"50:100ms"`), `lose_lane` a lane and when (`"0@20ms"`), `cancel_at` when the stream is cancelled, `host_change`
    from which item on host stages take how many times as long (`"50:2.5"`).
    """
    faults = {"fail": fail, "stall": stall, "lose_lane": lose_lane, "cancel_at": cancel_at, "host_change": host_change}
    with _Flags(run, _setting("simulate", setting), items=items, seed=seed, **faults) as flags:
        return Report._of(_asked(_native.simulate, flags))


def _setting(function: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in given:
        if name not in Setting.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}; nbuffer.Setting lists what there is")
    return given


_TIMES = {"ip", "w", "k", "r", "op", "launch_overhead", "call", "source_interval", "latency_max", "cancel_at"}


class _Flags:
    """Keywords as flags, and a file for the summary of a run that is in memory."""

    def __init__(
        self, run: Report | str | os.PathLike[str] | None, setting: Mapping[str, Any], **others: object
    ) -> None:
        given = {**setting, **others}
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
