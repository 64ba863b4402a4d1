"""Plans and simulations: the same numbers as the command line's."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nbuffer
from models import identity, number, payload


def command(*arguments: str) -> Any:
    done = subprocess.run([sys.executable, "-m", "nbuffer", *arguments, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_plan_is_that_of_the_command_line() -> None:
    plan = nbuffer.plan(ip=0.004, w="500us", k=2e-3, r="500us", op="1ms", buffers=8, host_threads=2, items=100)
    flags = "--ip 4ms --w 500us --k 2ms --r 500us --op 1ms --buffers 8 --host-threads 2 --items 100"
    assert dict(plan.summary) == command("plan", *flags.split())
    assert (plan.period_s, plan.binding) == (0.0025, "host")
    assert plan.buffers.inputs == 8 and plan.host_threads_enough == 3 and "3 host threads" in plan.advice[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.lanes = 2  # type: ignore[misc]


def test_a_simulation_is_that_of_the_command_line() -> None:
    report = nbuffer.simulate(ip="4ms", k="2ms", op="1ms", cv=0.3, buffers=4, host_threads=2, items=500, seed=7)
    flags = "--ip 4ms --k 2ms --op 1ms --cv 0.3 --buffers 4 --host-threads 2 --items 500 --seed 7"
    assert dict(report.summary) == command("simulate", *flags.split())
    assert report.items.ok == 500 and "kernel" in report.timeline() and "<svg" in report._repr_html_()


def test_what_goes_wrong_can_be_simulated() -> None:
    report = nbuffer.simulate(k="1ms", items=50, fail=[3, "kernel:7"], stall="20:10ms", lanes=2, lose_lane=["1@5ms"])
    assert report.items.failed >= 2 and report.items.ok + report.items.failed == report.items.taken


def test_a_plan_from_a_measured_run(tmp_path: Path) -> None:
    pipeline = nbuffer.Pipeline(identity(tmp_path / "m"), preprocess=payload, device="sim:metis", host_threads=1)
    assert all(number(outputs[0]) == item for item, outputs in pipeline.run(range(500)))
    report = pipeline.report
    measured = nbuffer.plan(report)
    assert measured.lanes == 4 and measured.measured_period_s is not None
    assert measured.summary["plan"]["stages"].keys() >= {"preprocess", "kernel"}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(dict(report.summary)))
    assert nbuffer.plan(path) == measured
    more = nbuffer.plan(report, host_threads=2, lanes=8)
    assert (more.lanes, more.host_threads) == (8, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"k": "fast"}, "'fast' for 'k <TIME>'"),
        ({"k": -1.0}, "'-1.0s' for 'k <TIME>'"),
        ({"k": float("nan")}, "'nans' for 'k <TIME>'"),
        ({}, "no stage times are given: give ip"),
        ({"k": 1e-3, "buffers": 0}, "buffers"),
        ({"k": 1e-3, "host_threads": "1+2+3"}, "host_threads"),
        ({"k": 1e-3, "overlap": "never"}, "overlap"),
    ],
)
def test_what_cannot_be_planned_is_told_by_the_keyword(arguments: dict[str, Any], says: str) -> None:
    for function in (nbuffer.plan, nbuffer.simulate):
        with pytest.raises(ValueError) as refused:
            function(**arguments)
        assert says in str(refused.value) and "--" not in str(refused.value)


def test_a_keyword_that_is_not_there_is_refused() -> None:
    for function in (nbuffer.plan, nbuffer.simulate):
        with pytest.raises(TypeError, match="unexpected keyword argument 'kernel'"):
            function(kernel="2ms")


def test_every_keyword_is_a_flag_and_is_told() -> None:
    flags = subprocess.run([sys.executable, "-m", "nbuffer", "plan", "--help"], capture_output=True, text=True, check=True).stdout
    for name in nbuffer.Setting.__annotations__:
        assert f"--{name.replace('_', '-')} " in flags
        assert f"`{name}`" in str(nbuffer.plan.__doc__)


def test_tables() -> None:
    pandas = pytest.importorskip("pandas")
    plans = [nbuffer.plan(k="2ms", ip="3ms", host_threads=threads) for threads in (1, 2, 3)]
    table = pandas.concat([plan.to_pandas() for plan in plans], ignore_index=True)
    assert list(table.host_threads) == [1, 2, 3] and table.period_s.is_monotonic_decreasing
    spans = nbuffer.simulate(k="2ms", ip="3ms", items=20).to_pandas()
    assert len(spans) == 100 and set(spans.stage) == {"preprocess", "write", "kernel", "read", "postprocess"}
    kernels = spans[spans.stage == "kernel"]
    assert (kernels.end_s - kernels.start_s).round(9).eq(0.002).all() and set(spans.item) == set(range(20))
