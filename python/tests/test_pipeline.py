"""The pipeline: what comes out belongs to what went in, whatever goes wrong, and it always ends."""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbuffer
from models import DIGITS, identity, number, payload

IMAGES = sorted((DIGITS / "images").rglob("*.png"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return identity(tmp_path / "identity")


@pytest.fixture(params=["cpu", "sim:metis", "sim:fpga"])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def threads() -> int:
    """The threads of pipelines; engines keep theirs."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text())
        except OSError:
            pass  # It ended meanwhile.
    return sum(name.startswith("nbuffer") for name in names)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threads()
    yield
    gc.collect()
    deadline = time.monotonic() + 10
    while threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() <= before


class Boom(Exception):
    pass


# Results.


@pytest.mark.parametrize("double_buffer", ["auto", False])
def test_each_result_comes_with_its_item_in_order(model: Path, device: str, double_buffer: Any) -> None:
    for count in (0, 1, 2, 3, 7, 300):
        with nbuffer.Pipeline(model, preprocess=payload, device=device, double_buffer=double_buffer) as pipeline:
            seen = [(item, number(outputs[0])) for item, outputs in pipeline.run(range(count))]
        assert seen == [(item, item) for item in range(count)]
        assert pipeline.report.items.ok == pipeline.report.items.taken == count


def test_a_model_that_takes_several_items_a_call(tmp_path: Path, device: str) -> None:
    model = identity(tmp_path / "batch", batch=4)
    for count in (1, 3, 4, 5, 102):
        pipeline = nbuffer.Pipeline(model, preprocess=payload, device=device)
        assert [(i, number(o[0])) for i, o in pipeline.run(range(count))] == [(i, i) for i in range(count)]


def test_one_bad_item_of_a_batch_costs_that_item(tmp_path: Path) -> None:
    model = identity(tmp_path / "batch", batch=4)

    def load(item: int) -> np.ndarray:
        if item % 4 == 1 or 8 <= item < 12:
            raise Boom(item)
        return payload(item)

    for item, outputs in nbuffer.Pipeline(model, preprocess=load, on_error="value").run(range(50)):
        if item % 4 == 1 or 8 <= item < 12:
            assert isinstance(outputs, nbuffer.ItemError) and isinstance(outputs.__cause__, Boom)
            assert (outputs.item, outputs.__cause__.args) == (item, (item,))
        else:
            assert number(outputs[0]) == item


def test_what_preprocess_may_give(model: Path) -> None:
    raw = np.arange(32, dtype=np.int8).reshape(1, 2, 4, 4)
    unpadded = np.ascontiguousarray(raw[..., :3])
    real = (unpadded.astype(np.float32) - 3) / 2
    given = [
        raw,
        unpadded,
        real,
        real.astype(np.float64),
        real[0],
        real.ravel(),
        [real],
        (raw,),
        np.asfortranarray(real),
        np.repeat(real, 2, axis=2)[:, :, ::2],
        real[:, :, ::-1][:, :, ::-1],
    ]
    # Items are arrays themselves.
    for _, outputs in nbuffer.Pipeline(model).run(given):
        assert outputs[0].dtype == np.float32 and outputs[0].shape == (1, 2, 4, 3)
        np.testing.assert_array_equal(outputs[0], real)
    for item, outputs in nbuffer.Pipeline(model, outputs="raw").run([raw, unpadded, real]):
        assert outputs[0].dtype == np.int8 and outputs[0].shape == (1, 2, 4, 4)
        np.testing.assert_array_equal(outputs[0][..., :3], unpadded)
        # Padding is the zero point, unless the item brought its own.
        expected = raw[..., 3:] if item is raw else np.full((1, 2, 4, 1), 3)
        np.testing.assert_array_equal(outputs[0][..., 3:], expected)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (np.zeros((1, 2, 4, 3), np.uint8), TypeError, "needs an array of int8 (or of float32, which is quantised), and one of"),
        (np.zeros((1, 2, 4, 3), np.complex64), TypeError, "complex64 was given"),
        (np.zeros((1, 2, 4, 3), ">f4"), TypeError, ">f4 was given"),
        (np.zeros((1, 3, 2, 4), np.float32), ValueError, "shape [1, 2, 4, 3], or [1, 2, 4, 4] with its padding, and one of shape [1, 3, 2, 4]"),
        (np.zeros((2, 4, 4), np.float32), ValueError, "one of shape [2, 4, 4] was given"),
        (np.zeros(23, np.int8), ValueError, "one of shape [23] was given"),
        ([], ValueError, "0 arrays were given, the model takes 1"),
        ([np.zeros(24, np.int8)] * 2, ValueError, "2 arrays were given, the model takes 1"),
        (None, TypeError, "needs a NumPy array, and NoneType was given"),
        ("x", TypeError, "needs a NumPy array, and str was given"),
    ],
)
def test_what_preprocess_may_not_give(model: Path, given: Any, error: type[Exception], says: str) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=lambda item: given if item == 5 else payload(item), on_error="value")
    for item, outputs in pipeline.run(range(20)):
        if item == 5:
            assert isinstance(outputs, nbuffer.ItemError) and isinstance(outputs.__cause__, error)
            assert says in str(outputs.__cause__) and says in str(outputs)
            assert (outputs.step, outputs.sequence, outputs.item) == ("preprocess", 5, 5)
        else:
            assert number(outputs[0]) == item
    assert (pipeline.report.items.ok, pipeline.report.items.failed) == (19, 1)


def test_inputs_written_in_place(model: Path) -> None:
    def load(item: int, out: np.ndarray) -> None:
        assert out.dtype == np.int8 and out.shape == (1, 2, 4, 4) and (out[..., 3] == 3).all()
        out[..., :3] = payload(item) * 2 + 3

    kept: list[np.ndarray] = []

    def load_and_keep(item: int, out: np.ndarray) -> None:
        load(item, out)
        kept.append(out)

    for preprocess in (load, load_and_keep):
        pipeline = nbuffer.Pipeline(model, preprocess=preprocess)
        assert [number(outputs[0]) for _, outputs in pipeline.run(range(200))] == list(range(200))
    # Who keeps an array keeps it as it was.
    assert sorted(number((array[..., :3].astype(np.float32) - 3) / 2) for array in kept) == list(range(200))
    wrong = nbuffer.Pipeline(model, preprocess=lambda item, out: out)
    with pytest.raises(nbuffer.ItemError, match="writes it and returns nothing"):
        next(wrong.run([0]))


def test_what_a_callable_keeps_for_its_thread_stays(model: Path) -> None:
    kept = threading.local()
    made: list[int] = []

    def load(item: int) -> np.ndarray:
        if not hasattr(kept, "here"):
            kept.here = True
            made.append(threading.get_native_id())
        return payload(item)

    pipeline = nbuffer.Pipeline(model, preprocess=load, device="sim:metis")
    assert [number(outputs[0]) for _, outputs in pipeline.run(range(500))] == list(range(500))
    assert len(made) == len(set(made)), "once for each thread, not for each item"


def test_postprocess_makes_the_result(model: Path) -> None:
    pipeline = nbuffer.Pipeline(
        model, preprocess=payload, postprocess=lambda item, outputs: (item * 2, number(outputs[0]))
    )
    assert list(pipeline.run(range(50))) == [(item, (2 * item, item)) for item in range(50)]


def test_results_as_they_complete(model: Path) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=payload, device="sim:metis", order="completed")
    seen = [(item, number(outputs[0])) for item, outputs in pipeline.run(range(200))]
    assert sorted(seen) == [(item, item) for item in range(200)]


# Images, without the interpreter.


def test_images_are_classified_as_the_command_line_does() -> None:
    pipeline = nbuffer.Pipeline(DIGITS, preprocess=nbuffer.ImagePreprocess(), device="sim:metis")
    seen = {path: int(outputs[0].argmax()) for path, outputs in pipeline.run(IMAGES)}
    right = sum(int(path.parent.name) == digit for path, digit in seen.items())
    assert (len(seen), right) == (len(IMAGES), 355)
    report = pipeline.report
    assert report.device == ("sim:metis",) and report.items.ok == len(IMAGES)


def test_an_image_may_be_a_path_bytes_or_pixels() -> None:
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    grey = pixels[..., 0]
    path = IMAGES[0]
    items = [path, str(path), path.read_bytes(), pixels, pixels[::-1], np.repeat(pixels, 2, 0)[::2], grey, np.dstack([grey] * 3)]
    pipeline = nbuffer.Pipeline(DIGITS, preprocess=nbuffer.ImagePreprocess())
    outputs = [outputs[0] for _, outputs in pipeline.run(items)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])
    assert (outputs[3] != outputs[4]).any()
    np.testing.assert_array_equal(outputs[3], outputs[5])
    np.testing.assert_array_equal(outputs[6], outputs[7])


def test_bad_images_cost_themselves(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    bad = [tmp_path / "no.png", tmp_path / "missing.png", b"no picture", 5, np.zeros((8, 8), np.float32), np.zeros((2, 8, 8, 3), np.uint8)]
    pipeline = nbuffer.Pipeline(DIGITS, preprocess=nbuffer.ImagePreprocess(), on_error="value")
    results = [result for _, result in pipeline.run([*bad, IMAGES[0]])]
    assert all(isinstance(result, nbuffer.ItemError) for result in results[:-1]) and len(results) == 7
    said = [str(result) for result in results[:-1]]
    for text, part in zip(said, ["neither PNG nor JPEG", "cannot be read", "image `bytes`", "is no image", "is no image", "(2, 8, 8, 3)"]):
        assert part in text.replace("[", "(").replace("]", ")"), text
    assert isinstance(results[-1], list)


def test_the_middle_of_an_image_is_cut_out() -> None:
    picture = np.zeros((16, 40, 3), np.uint8)
    picture[4:12, 16:24] = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    cut, whole = (nbuffer.Pipeline(DIGITS, preprocess=p) for p in (nbuffer.ImagePreprocess(resize=16, crop=8), nbuffer.ImagePreprocess()))
    [(_, seen)], [(_, expected)] = cut.run([picture]), whole.run([picture[4:12, 16:24]])
    np.testing.assert_array_equal(seen[0], expected[0])
    for arguments, says in [
        ({"resize": 256}, "give crop too"),
        ({"resize": (8, 9)}, "model `digits` takes (8, 8)"),
        ({"resize": (8, 8), "crop": 8}, "leaves nothing to crop"),
        ({"crop": 9}, "model `digits` takes (8, 8)"),
        ({"resize": 7, "crop": 8}, "scale to at least 8"),
        ({"mean": [0.5, 0.5]}, "mean has 2 values"),
        ({"std": 0.0}, "std"),
    ]:
        with pytest.raises(ValueError) as refused:
            nbuffer.Pipeline(DIGITS, preprocess=nbuffer.ImagePreprocess(**arguments))  # type: ignore[arg-type]
        assert says in str(refused.value)


# What goes wrong.


@pytest.mark.parametrize("stage", ["preprocess", "postprocess"])
def test_an_exception_in_a_callback_carries_its_item(model: Path, stage: str) -> None:
    def check(item: str) -> None:
        if item == "bad":
            raise Boom("no")

    def load(item: str) -> np.ndarray:
        if stage == "preprocess":
            check(item)
        return payload(1)

    def read(item: str, outputs: list[np.ndarray]) -> int:
        check(item)
        return number(outputs[0])

    pipeline = nbuffer.Pipeline(model, preprocess=load, postprocess=read)
    run = pipeline.run(["a", "b", "bad", "c"])
    assert [next(run), next(run)] == [("a", 1), ("b", 1)]
    with pytest.raises(nbuffer.ItemError, match=f"item 2 \\('bad'\\): {stage} failed: Boom: no") as raised:
        next(run)
    assert (raised.value.item, raised.value.sequence, raised.value.step) == ("bad", 2, stage)
    assert isinstance(raised.value.__cause__, Boom)
    # It ended there; the pipeline can go on with others.
    assert list(run) == []
    assert list(pipeline.run(["d"])) == [("d", 1)]


def test_a_generator_that_raises_ends_the_stream_after_its_results(model: Path, device: str) -> None:
    def items() -> Iterator[int]:
        yield from range(25)
        raise Boom("the camera is gone")

    pipeline = nbuffer.Pipeline(model, preprocess=payload, device=device)
    seen = []
    with pytest.raises(Boom, match="the camera is gone"):
        for item, outputs in pipeline.run(items()):
            seen.append((item, number(outputs[0])))
    assert seen == [(item, item) for item in range(25)]


def test_a_loop_that_is_left_early_ends_the_stream(model: Path, device: str) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10**9):
            taken.append(item)
            yield item

    pipeline = nbuffer.Pipeline(model, preprocess=payload, device=device, buffers=4)
    for item, _ in pipeline.run(items()):
        if item == 10:
            break
    assert pipeline.report.interrupted
    count = len(taken)
    assert count < 1000, "the source is asked as far as there is room"
    time.sleep(0.02)
    assert len(taken) <= count + 1
    totals = pipeline.report.items
    assert totals.taken == totals.ok + totals.failed + totals.cancelled


def test_a_stream_can_be_closed_while_its_source_blocks(model: Path) -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        gate.wait()

    run = nbuffer.Pipeline(model, preprocess=payload).run(items())
    assert next(run)[0] == 0
    run.close()
    run.close()
    assert list(run) == []
    gate.set()


def test_another_thread_may_close_a_stream_that_is_waited_for(model: Path) -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        gate.wait()
        yield 0

    run = nbuffer.Pipeline(model, preprocess=payload).run(items())
    waiting = threading.Thread(target=lambda: list(run))
    waiting.start()
    run.close()
    waiting.join(10)
    assert not waiting.is_alive()
    gate.set()


def test_one_stream_at_a_time(model: Path) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=payload)
    run = pipeline.run(range(100))
    with pytest.raises(RuntimeError, match="runs a stream already"):
        pipeline.run(range(1))
    with pytest.raises(RuntimeError, match="runs a stream"):
        pipeline.submit(1)
    del run
    assert len(list(pipeline.run(range(3)))) == 3


def test_a_lost_lane_costs_what_it_held_and_with_the_last_one_the_stream_ends(model: Path, tmp_path: Path) -> None:
    profile = tmp_path / "dies.toml"
    profile.write_text(
        'class = "lockstep"\ncores = 1\nkernel_time = "200us"\n'
        '[link]\nduplex = "full"\nwrite_time = "20us"\nread_time = "20us"\n'
        '[[fault]]\nkind = "disappear"\nlane = 0\ncall = 20\n'
    )
    pipeline = nbuffer.Pipeline(model, preprocess=payload, device=f"sim:{profile}", on_error="value")
    seen: list[int] = []
    failed: list[int] = []
    with pytest.raises(nbuffer.StreamError, match="all lanes are lost"):
        for item, outputs in pipeline.run(range(1000)):
            if isinstance(outputs, nbuffer.ItemError):
                failed.append(item)
                assert (outputs.step, outputs.item) == ("device", item)
            else:
                seen.append(item)
                assert number(outputs[0]) == item
    assert seen and failed and sorted(seen + failed) == list(range(len(seen) + len(failed)))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"buffers": 0}, ValueError, "buffers is 0: at least 1"),
        ({"buffers": "many"}, TypeError, "'auto' or a whole number"),
        ({"buffers": True}, TypeError, "'auto' or a whole number"),
        ({"host_threads": -1}, ValueError, "host_threads is -1"),
        ({"double_buffer": "on"}, TypeError, "'auto', True or False"),
        ({"double_buffer": True}, RuntimeError, "no double buffering"),
        ({"device": "gpu9"}, ValueError, "there is no device `gpu9`; known are cpu"),
        ({"device": []}, ValueError, "no device"),
        ({"cores": 99}, ValueError, "99 cores cannot be used"),
        ({"engine": "abacus"}, RuntimeError, "abacus"),
        ({"on_error": "ignore"}, ValueError, "one of 'raise', 'value'"),
        ({"order": "random"}, ValueError, "'in-order', 'completed'"),
        ({"outputs": "int"}, ValueError, "'float', 'raw'"),
        ({"overload": "panic"}, ValueError, "'drop-oldest'"),
        ({"latency_max": 0.0}, ValueError, "latency_max is 0 s"),
        ({"latency_max": 1.0, "buffers": 3}, ValueError, "latency limit"),
        ({"watchdog": float("nan")}, ValueError, "watchdog"),
        ({"preprocess": 7}, TypeError, "a callable, an ImagePreprocess or None"),
        ({"postprocess": 7}, TypeError, "a callable of (item, outputs)"),
        ({"on_drop": 7}, TypeError, "a callable of (ItemDropped)"),
        ({"buffer": 3}, TypeError, "unexpected keyword argument 'buffer'"),
    ],
)
def test_wrong_arguments_are_refused_when_the_pipeline_is_made(
    model: Path, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as refused:
        nbuffer.Pipeline(model, **arguments)
    assert says in str(refused.value)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        nbuffer.Pipeline(tmp_path / "nowhere")
    with pytest.raises(TypeError):
        nbuffer.Pipeline(5)  # type: ignore[arg-type]


def test_a_model_that_is_loaded(model: Path) -> None:
    with nbuffer.Context("cpu") as context:
        loaded = context.load_model(model / "model.json")
        pipeline = nbuffer.Pipeline(loaded, preprocess=payload)
    assert [number(outputs[0]) for _, outputs in pipeline.run(range(9))] == list(range(9))
    with pytest.raises(RuntimeError, match="released"):
        nbuffer.Pipeline(loaded)


def test_items_that_are_not_iterable(model: Path) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        nbuffer.Pipeline(model).run(5)  # type: ignore[arg-type]


def test_an_item_whose_repr_fails_can_fail(model: Path) -> None:
    class Shy:
        def __repr__(self) -> str:
            raise Boom

    with pytest.raises(nbuffer.ItemError, match="a Shy"):
        next(nbuffer.Pipeline(model).run([Shy()]))


# Ctrl-C, the end of the interpreter.


def script(text: str, **arguments: Any) -> subprocess.Popen[str]:
    # Where the tests run in the background of a shell, SIGINT is ignored, and what they start would inherit that.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return subprocess.Popen(
        [sys.executable, "-c", heeds + text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent, **arguments
    )


def test_ctrl_c_ends_a_stream_that_waits_for_its_source(model: Path) -> None:
    process = script(f"""
import time, nbuffer
from models import payload
def items():
    yield 0
    print("waits", flush=True)
    time.sleep(600)
try:
    for item, _ in nbuffer.Pipeline({str(model)!r}, preprocess=payload).run(items()):
        pass
except KeyboardInterrupt:
    print("interrupted", flush=True)
    import os; os._exit(7)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (7, "interrupted\n")


def test_ctrl_c_ends_a_long_run_and_the_pipeline_runs_again(model: Path) -> None:
    process = script(f"""
import itertools, nbuffer
from models import payload
pipeline = nbuffer.Pipeline({str(model)!r}, preprocess=payload, postprocess=lambda item, outputs: item, device="sim:metis")
try:
    for item, _ in pipeline.run(itertools.count()):
        if item == 100:
            print("runs", flush=True)
except KeyboardInterrupt:
    assert pipeline.report.interrupted and nbuffer._native.alive()["Stream"] == 0
    assert [result for _, result in pipeline.run(range(50))] == list(range(50))
    print("interrupted")
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "interrupted\n", "")


@pytest.mark.parametrize("how", ["run", "submit", "blocked"])
def test_the_interpreter_ends_with_streams_open(model: Path, how: str) -> None:
    process = script(f"""
import itertools, threading, nbuffer
from models import payload
pipeline = nbuffer.Pipeline({str(model)!r}, preprocess=payload, device="sim:metis")
if {how!r} == "run":
    kept = pipeline.run(itertools.count())
    next(kept)
elif {how!r} == "blocked":
    def items():
        yield 0
        threading.Event().wait()
    kept = pipeline.run(items())
    next(kept)
else:
    kept = [pipeline.submit(i) for i in range(100)]
print("done")
""")
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "done\n", "")


# Many items.


def test_ten_thousand_items_through_four_lanes_stay_in_order_and_leave_nothing(model: Path) -> None:
    pipeline = nbuffer.Pipeline(
        model, preprocess=payload, postprocess=lambda item, outputs: number(outputs[0]), device="sim:metis", buffers=4
    )

    def run(count: int) -> int:
        for expected, (item, result) in enumerate(pipeline.run(range(count))):
            assert expected == item == result
        assert pipeline.report.lanes == 4
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        run(500)
        before, resident = run(500), _resident()
        after, resident_after = run(10_000), _resident()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000, f"{after - before} B of Python objects are left"
    assert resident_after - resident < 16 << 20, f"{resident_after - resident} B more are resident"


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_failures_and_early_ends_leave_nothing(model: Path) -> None:
    """Neither Python's objects nor the device's, however streams end."""

    def load(item: int) -> Any:
        if item % 3 == 0:
            raise Boom(item)
        return np.zeros(5, np.complex64) if item % 3 == 1 else payload(item)

    def read(item: int, outputs: list[np.ndarray]) -> int:
        if item % 2 == 0:
            raise Boom(item)
        return number(outputs[0])

    def items(end: int) -> Iterator[int]:
        yield from range(end)
        raise Boom

    def once() -> None:
        pipeline = nbuffer.Pipeline(model, preprocess=load, postprocess=read, device="sim:metis", on_error="value")
        for item, _ in pipeline.run(range(60)):
            if item == 50:
                break
        with pytest.raises(Boom):
            for _ in pipeline.run(items(30)):
                pass
        abandoned = pipeline.run(range(60))
        next(abandoned)
        del abandoned
        futures = [pipeline.submit(item) for item in range(40)]
        pipeline.close(cancel=True)
        assert all(future.done() for future in futures)
        with pytest.raises(TypeError):
            nbuffer.Pipeline(model, buffer=3)  # type: ignore[call-arg]
        raising = nbuffer.Pipeline(model, preprocess=load)
        with pytest.raises(nbuffer.ItemError):
            list(raising.run(range(60)))

    gc.collect()
    objects = nbuffer._native.alive()
    tracemalloc.start()
    try:
        for _ in range(5):
            once()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            once()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 50_000, f"{after - before} B are left"
    assert nbuffer._native.alive() == objects


def test_an_open_stream_is_counted(model: Path) -> None:
    before = nbuffer._native.alive()
    pipeline = nbuffer.Pipeline(model, preprocess=payload)
    run = pipeline.run(range(1000))
    now = nbuffer._native.alive()
    assert (now["Pipeline"], now["Stream"]) == (before["Pipeline"] + 1, before["Stream"] + 1)
    run.close()
    assert nbuffer._native.alive()["Stream"] == before["Stream"]
    del run, pipeline
    assert nbuffer._native.alive() == before


# The report.


def test_the_report_says_how_it_went(model: Path, tmp_path: Path) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=payload, device="sim:metis")
    with pytest.raises(RuntimeError, match="has run nothing"):
        pipeline.report
    run = pipeline.run(range(400))
    next(run)
    assert pipeline.report.items.taken > 0, "it can be looked at while it runs"
    assert len(list(run)) == 399
    report = pipeline.report
    assert report.items.ok == report.items.taken == 400
    assert report.summary["format"] == 1 and report.stages["kernel"].mean_s > 0
    assert "400 ok" in str(report) and "kernel" in report.timeline(100)
    assert report.plan is not None and report.plan.efficiency is not None
    page = report._repr_html_()
    assert page.startswith("<pre>") and "<svg" in page and "<script" not in page and page.count("<title>") > 10
    report.save(tmp_path / "run.html")
    assert "<!DOCTYPE html>" in (tmp_path / "run.html").read_text()
    with pytest.raises(AttributeError):
        report.lanes = 3  # type: ignore[misc]


def test_a_report_of_nothing(model: Path) -> None:
    pipeline = nbuffer.Pipeline(model, preprocess=payload)
    assert list(pipeline.run([])) == []
    assert pipeline.report.items.taken == 0 and "nothing ran" in pipeline.report._repr_html_()


def test_progress_bars_and_notebooks_need_no_more_than_an_iterator(model: Path) -> None:
    # A notebook's cell runs inside an event loop.
    import asyncio

    async def cell() -> int:
        out = io.StringIO()
        for item, _ in nbuffer.Pipeline(model, preprocess=payload).run(range(20)):
            print(item, file=out)
        return len(out.getvalue().split())

    assert asyncio.run(cell()) == 20
