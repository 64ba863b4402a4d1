"""Items that are submitted: futures, results in order, overload, asyncio, and an end to all of it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbuffer
from models import identity, number, payload
from test_pipeline import Boom, no_thread_is_left  # noqa: F401  a fixture


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return identity(tmp_path / "identity")


@pytest.fixture(params=["cpu", "sim:metis"])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_future_gets_its_own_result(model: Path, device: str) -> None:
    with nbuffer.Pipeline(model, preprocess=payload, device=device) as pipeline:
        futures: dict[int, Future[Any]] = {}

        def submit(numbers: range) -> None:
            for item in numbers:
                futures[item] = pipeline.submit(item)

        threads = [threading.Thread(target=submit, args=(range(start, 800, 4),)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(futures) == 800
        for item, future in futures.items():
            assert number(future.result(10)[0]) == item
    assert pipeline.report.items.ok == 800


def test_a_single_item_is_not_held_back(model: Path) -> None:
    # Double buffering gives a result two calls late: a pause flushes it out.
    with nbuffer.Pipeline(model, preprocess=payload, device="sim:metis", double_buffer=True, cores=1) as pipeline:
        for item in range(5):
            assert number(pipeline.submit(item).result(10)[0]) == item
    assert pipeline.report.double_buffer


def test_results_come_in_order_with_their_tags(model: Path, device: str) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=payload, device=device)

    def camera() -> None:
        for item in range(500):
            pipeline.submit(item, tag=f"frame {item}")
        pipeline.finish()

    results = pipeline.results()
    thread = threading.Thread(target=camera)
    thread.start()
    seen = [(tag, number(outputs[0])) for tag, outputs in results]
    thread.join()
    pipeline.close()
    assert seen == [(f"frame {item}", item) for item in range(500)]


def test_without_a_tag_a_result_comes_with_its_item(model: Path) -> None:
    with nbuffer.Pipeline(model, preprocess=payload) as pipeline:
        results = pipeline.results()
        for item in range(5):
            pipeline.submit(item)
        pipeline.finish()
        assert [item for item, _ in results] == list(range(5))


@pytest.mark.parametrize("overload", ["drop-oldest", "drop-newest"])
def test_what_is_too_much_is_dropped_and_told(model: Path, overload: Any) -> None:
    gate = threading.Event()

    def load(item: int) -> np.ndarray:
        gate.wait(10)
        return payload(item)

    drops: list[nbuffer.ItemDropped] = []
    with nbuffer.Pipeline(
        model, preprocess=load, overload=overload, inbox=4, buffers=1, cores=1, on_drop=drops.append
    ) as pipeline:
        assert pipeline.dropped == 0
        futures = [pipeline.submit(item, tag=str(item)) for item in range(300)]
        dropped = [future for future in futures if future.done()]
        assert len(dropped) > 250, "the futures of dropped items are told at once"
        assert [future.exception() for future in dropped] == drops and pipeline.dropped == len(drops)
        gate.set()
        wait_for(futures, 10)
        ends = {}
        for item, future in enumerate(futures):
            error = future.exception(0)
            if error is None:
                assert number(future.result()[0]) == item
                ends[item] = "ok"
            else:
                assert isinstance(error, nbuffer.ItemDropped) and (error.item, error.tag) == (item, str(item))
                ends[item] = "dropped"
    kept = [item for item, end in ends.items() if end == "ok"]
    if overload == "drop-oldest":
        assert kept[-4:] == [296, 297, 298, 299], "a live source sees what is new"
    else:
        # One may come in later, in the place of the first that the pipeline takes.
        assert kept[:4] == [0, 1, 2, 3], "what came first is done"
    items = pipeline.report.items
    assert items.ok == len(kept) and items.ok + items.dropped == 300
    assert items.dropped == pipeline.dropped == len(drops), "also when it is closed"
    assert f"{items.dropped} before they were taken" in str(pipeline.report)


def test_who_reads_results_sees_each_item_once_or_its_drop(model: Path) -> None:
    drops: list[int] = []
    pipeline = nbuffer.Pipeline(
        model, preprocess=payload, overload="drop-oldest", inbox=2, cores=1, on_drop=lambda drop: drops.append(drop.tag)
    )
    results = pipeline.results()

    def camera() -> None:
        for item in range(3000):
            pipeline.submit(item, tag=-item)
        pipeline.finish()

    thread = threading.Thread(target=camera)
    thread.start()
    seen = [(tag, number(outputs[0])) for tag, outputs in results]
    thread.join()
    pipeline.close()
    assert all(tag == -item for tag, item in seen)
    assert drops and len(drops) == pipeline.dropped
    assert sorted([tag for tag, _ in seen] + drops) == list(range(-2999, 1))


def test_an_on_drop_that_raises_costs_nothing(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()

    def load(item: int) -> np.ndarray:
        gate.wait(10)
        return payload(item)

    def refuse(drop: nbuffer.ItemDropped) -> None:
        raise Boom(drop.tag)

    with nbuffer.Pipeline(model, preprocess=load, overload="drop-oldest", inbox=1, buffers=1, cores=1, on_drop=refuse) as pipeline:
        futures = [pipeline.submit(item) for item in range(50)]
        gate.set()
        wait_for(futures, 10)
        ends = [future.exception(0) for future in futures]
    assert sum(isinstance(end, nbuffer.ItemDropped) for end in ends) == pipeline.dropped > 30 and ends[-1] is None
    assert len([record for record in caplog.records if record.exc_info]) == pipeline.dropped


def test_a_full_inbox_waits_no_longer_than_it_may(model: Path) -> None:
    gate = threading.Event()

    def load(item: int) -> np.ndarray:
        gate.wait(10)
        return payload(item)

    with nbuffer.Pipeline(model, preprocess=load, inbox=1, buffers=1, cores=1) as pipeline:
        futures = []
        with pytest.raises(TimeoutError, match="no room"):
            for item in range(100):
                futures.append(pipeline.submit(item, timeout=0.1))
        assert 1 < len(futures) < 10
        gate.set()
        assert [number(future.result(10)[0]) for future in futures] == list(range(len(futures)))


def test_a_slow_reader_sets_the_pace(model: Path) -> None:
    loaded: list[int] = []

    def load(item: int) -> np.ndarray:
        loaded.append(item)
        return payload(item)

    pipeline = nbuffer.Pipeline(model, preprocess=load, inbox=2, buffers=2, cores=1)
    results = pipeline.results()
    done = threading.Event()

    def camera() -> None:
        for item in range(2000):
            pipeline.submit(item)
        done.set()
        pipeline.finish()

    thread = threading.Thread(target=camera)
    thread.start()
    assert next(results)[0] == 0
    assert not done.wait(0.3) and len(loaded) < 300, "nothing outruns the reader"
    assert [item for item, _ in results] == list(range(1, 2000))
    thread.join()
    pipeline.close()


def test_errors_go_to_the_future_and_to_the_reader(model: Path) -> None:
    def load(item: int) -> np.ndarray:
        if item == 1:
            raise Boom("no")
        return payload(item)

    with nbuffer.Pipeline(model, preprocess=load, on_error="value") as pipeline:
        results = pipeline.results()
        futures = [pipeline.submit(item, tag=-item) for item in range(3)]
        pipeline.finish()
        seen = dict(results)
    error = futures[1].exception(5)
    assert isinstance(error, nbuffer.ItemError) and (error.item, error.tag, error.step) == (1, -1, "preprocess")
    assert isinstance(error.__cause__, Boom) and seen[-1] is error
    assert number(futures[2].result(5)[0]) == 2 and number(seen[-2][0]) == 2


def test_results_asked_for_too_late_are_refused_not_lost(model: Path) -> None:
    with nbuffer.Pipeline(model, preprocess=payload) as pipeline:
        pipeline.submit(0)
        with pytest.raises(RuntimeError, match="before the first submit"):
            pipeline.results()
    with nbuffer.Pipeline(model, preprocess=payload) as pipeline:
        results = pipeline.results()
        with pytest.raises(RuntimeError, match="an iterator over the results already"):
            pipeline.results()
        pipeline.submit(0)
        pipeline.finish()
        assert len(list(results)) == 1


def test_a_reader_that_leaves_leaves_the_futures(model: Path) -> None:
    with nbuffer.Pipeline(model, preprocess=payload, inbox=100) as pipeline:
        results = pipeline.results()
        futures = [pipeline.submit(item) for item in range(100)]
        assert next(results)[0] == 0
        del results
        assert [number(future.result(10)[0]) for future in futures] == list(range(100))


def test_closing_does_what_was_submitted_and_cancelling_tells_it(model: Path) -> None:
    with nbuffer.Pipeline(model, preprocess=payload) as pipeline:
        futures = [pipeline.submit(item) for item in range(100)]
    assert all(future.done() for future in futures) and number(futures[99].result()[0]) == 99
    with pytest.raises(Boom), nbuffer.Pipeline(model, preprocess=payload, inbox=1000, device="sim:metis") as pipeline:
        futures = [pipeline.submit(item) for item in range(1000)]
        raise Boom
    ends = [future.exception(0) for future in futures]
    cancelled = [end for end in ends if end is not None]
    assert cancelled and all(isinstance(end, nbuffer.ItemCancelled) for end in cancelled)
    # It can be used again.
    assert number(pipeline.submit(5).result(10)[0]) == 5
    pipeline.close()
    pipeline.close()


def test_a_pipeline_that_is_dropped_still_does_what_was_submitted(model: Path) -> None:
    future = nbuffer.Pipeline(model, preprocess=payload, device="sim:metis").submit(7)
    gc.collect()
    assert number(future.result(10)[0]) == 7


def test_when_all_lanes_are_lost_every_future_is_told(model: Path, tmp_path: Path) -> None:
    profile = tmp_path / "dies.toml"
    profile.write_text(
        'class = "lockstep"\ncores = 1\nkernel_time = "200us"\n'
        '[link]\nduplex = "full"\nwrite_time = "20us"\nread_time = "20us"\n'
        '[[fault]]\nkind = "disappear"\nlane = 0\ncall = 5\n'
    )
    pipeline = nbuffer.Pipeline(model, preprocess=payload, device=f"sim:{profile}", inbox=100)
    futures = []
    try:
        for item in range(200):
            futures.append(pipeline.submit(item, timeout=1))
    except (RuntimeError, TimeoutError):
        pass
    _, open_ = wait_for(futures, 10)
    assert not open_
    assert any(future.exception() is not None for future in futures)
    pipeline.close()


def test_ten_thousand_submissions_leave_nothing(model: Path) -> None:
    import tracemalloc

    pipeline = nbuffer.Pipeline(model, preprocess=payload, postprocess=lambda item, outputs: number(outputs[0]))

    def run(count: int) -> int:
        futures: list[Future[int]] = []
        for item in range(count):
            futures.append(pipeline.submit(item))
            if len(futures) > 64:
                assert futures.pop(0).result(10) == item - 64
        for future in futures:
            future.result(10)
        futures.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        run(500)
        before, after = run(500), run(10_000)
    finally:
        tracemalloc.stop()
        pipeline.close()
    assert after - before < 100_000, f"{after - before} B are left"


# asyncio.


def test_items_are_awaited(model: Path, device: str) -> None:
    async def main() -> list[int]:
        with nbuffer.Pipeline(model, preprocess=payload, device=device, inbox=2) as pipeline:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.001)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            outputs = await asyncio.gather(*(pipeline.submit_async(item) for item in range(200)))
            wrapped = await asyncio.wrap_future(pipeline.submit(200))
            ticking.cancel()
            assert ticks > 0, "the event loop goes on meanwhile"
            return [number(output[0]) for output in [*outputs, wrapped]]

    assert asyncio.run(asyncio.wait_for(main(), 30)) == list(range(201))


def test_streams_are_iterated_asynchronously(model: Path) -> None:
    async def main() -> None:
        pipeline = nbuffer.Pipeline(model, preprocess=payload, device="sim:metis")
        seen = [(item, number(outputs[0])) async for item, outputs in pipeline.run(range(100))]
        assert seen == [(item, item) for item in range(100)]
        results = pipeline.results()

        async def camera() -> None:
            for item in range(50):
                pipeline.submit(item, tag=str(item))
                await asyncio.sleep(0)
            pipeline.finish()

        feeding = asyncio.create_task(camera())
        tags = [tag async for tag, _ in results]
        await feeding
        assert tags == [str(item) for item in range(50)]
        pipeline.close()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_results_end_when_another_thread_closes(model: Path) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=payload)
    results: Iterator[Any] = pipeline.results()
    closing = threading.Timer(0.1, pipeline.close)
    closing.start()
    start = time.monotonic()
    assert list(results) == []
    assert time.monotonic() - start < 10
    closing.join()
