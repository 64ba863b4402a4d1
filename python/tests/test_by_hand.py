"""Loops by hand, against the object model: what they must get right, and a pipeline cannot get wrong."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import nbuffer
from models import identity

WORKERS = 4


def frame(number: int) -> np.ndarray:
    return np.full((1, 2, 4, 4), number % 100, np.int8)


class Worker(threading.Thread):
    """A core with one array for its outputs, as there is where arrays are registered with the device."""

    def __init__(self, instance: nbuffer.ModelInstance) -> None:
        super().__init__(daemon=True)
        self.instance = instance
        self.outputs = [np.empty((1, 2, 4, 4), np.int8)]
        self.work: queue.Queue[np.ndarray | None] = queue.Queue()
        self.done: queue.Queue[list[np.ndarray]] = queue.Queue()

    def run(self) -> None:
        while (pushed := self.work.get()) is not None:
            self.instance.run([pushed], self.outputs)
            self.done.put(self.outputs)


def slow(outputs: list[np.ndarray]) -> int:
    """A postprocess that takes longer than a call, and reads its input at its end."""
    time.sleep(0.003)
    return int(outputs[0][0, 0, 0, 0])


def by_hand(model_path: Path, count: int, *, submit_before_collect: bool) -> Iterator[tuple[int, int]]:
    """(the frame that was meant, the frame that the result is of), double-buffered on all cores in turn."""
    with nbuffer.Context("sim:metis") as context:
        model = context.load_model(model_path / "model.json")
        workers = []
        for _ in range(WORKERS):
            connection = context.device_connect(None, 1)
            instance = connection.load_model_instance(model, num_sub_devices=1, double_buffer=True)
            workers.append(Worker(instance))
        for worker in workers:
            worker.start()
        lag = 2 * WORKERS
        meant: deque[int] = deque()
        for call in range(count + lag + WORKERS):
            worker = workers[call % WORKERS]
            number = call if call < count else 0

            def submit() -> None:
                meant.append(number)
                worker.work.put(frame(number))

            if submit_before_collect:
                submit()
            if call >= WORKERS:
                outputs = worker.done.get()
                if call - WORKERS >= lag:
                    yield meant.popleft(), slow(outputs)
            if not submit_before_collect:
                submit()
        for worker in workers:
            worker.work.put(None)
        for worker in workers:
            worker.join()


def test_collecting_first_pairs_what_belongs_together(tmp_path: Path) -> None:
    model = identity(tmp_path / "m")
    pairs = list(by_hand(model, 40, submit_before_collect=False))
    assert [meant for meant, _ in pairs] == list(range(40))
    assert all(meant == seen for meant, seen in pairs)


def test_submitting_first_pairs_results_with_other_frames(tmp_path: Path) -> None:
    """The worker is given its next frame, and writes that call's result over the one that is still being read."""
    pairs = list(by_hand(identity(tmp_path / "m"), 40, submit_before_collect=True))
    wrong = [(meant, seen) for meant, seen in pairs[: 40 - WORKERS] if meant != seen]
    assert len(wrong) > 20, pairs
    assert all(seen == meant + WORKERS for meant, seen in wrong), "each is that of the worker's next frame"


def test_the_pipeline_has_no_such_order_to_get_wrong(tmp_path: Path) -> None:
    pipeline = nbuffer.Pipeline(
        identity(tmp_path / "m"),
        preprocess=frame,
        postprocess=lambda item, outputs: slow(outputs),
        outputs="raw",
        double_buffer=True,
        device="sim:metis",
    )
    assert list(pipeline.run(range(40))) == [(number, number) for number in range(40)]
