"""Double buffering by hand, beside the pipeline that does it in a line: the same results, side by side.

A double-buffered instance gives the result of a call two calls late. So with N workers in turn the first 2N outputs are
dummies, 2N more frames must be pushed in at the end, and a deque remembers which frames are still on their way.
"""

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import nbuffer

model_path, device, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Worker(threading.Thread):
    def __init__(self, instance: nbuffer.ModelInstance, shapes: list[tuple[int, ...]]) -> None:
        super().__init__(daemon=True)
        self.instance, self.shapes = instance, shapes
        self.work: queue.Queue[np.ndarray | None] = queue.Queue()
        self.done: queue.Queue[list[np.ndarray]] = queue.Queue()

    def run(self) -> None:
        while (frame := self.work.get()) is not None:
            outputs = [np.empty(shape, np.int8) for shape in self.shapes]
            self.instance.run([frame], outputs)
            self.done.put(outputs)


def frame(number: int) -> np.ndarray:
    return np.full(info.shape, number % 100, np.int8)


def read(number: int, outputs: list[np.ndarray]) -> bytes:
    """What is done with a result: anything that looks at all of it."""
    return outputs[0].tobytes()


def by_hand() -> Iterator[tuple[int, list[np.ndarray]]]:
    cores = context.list_devices()[0].subdevice_count
    workers = []
    for _ in range(cores):
        connection = context.device_connect(None, 1)
        instance = connection.load_model_instance(model, num_sub_devices=1, double_buffer=True)
        workers.append(Worker(instance, shapes))
    for worker in workers:
        worker.start()
    lag = 2 * cores
    on_their_way: deque[int] = deque()
    calls = 0

    def push(pushed: np.ndarray) -> None:
        nonlocal calls
        workers[calls % cores].work.put(pushed)
        calls += 1

    # Each worker has one call to make beyond the one whose output is waited for.
    ahead, collected = cores, 0
    numbers = iter(range(count))
    for _ in range(count + lag):
        number = next(numbers, None)
        if number is None:
            push(frame(0))  # a flush
        else:
            on_their_way.append(number)
            push(frame(number))
        if calls > ahead:
            outputs = workers[collected % cores].done.get()
            collected += 1
            if collected > lag:  # not a primer
                yield on_their_way.popleft(), outputs
    while collected < calls:
        outputs = workers[collected % cores].done.get()
        collected += 1
        if collected > lag:
            yield on_their_way.popleft(), outputs
    for worker in workers:
        worker.work.put(None)
    for worker in workers:
        worker.join()


def timed(results: Iterator[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], float]:
    start = time.perf_counter()
    seen = list(results)
    return seen, count / (time.perf_counter() - start)


with nbuffer.Context(device) as context:
    model = context.load_model(model_path / "model.json")
    [info] = model.inputs()
    shapes = [output.shape for output in model.outputs()]
    hand, hand_rate = timed((number, read(number, outputs)) for number, outputs in by_hand())

pipeline = nbuffer.Pipeline(
    model_path, preprocess=frame, postprocess=read, outputs="raw", double_buffer=True, device=device
)
line, line_rate = timed(pipeline.run(range(count)))

assert hand == line and [number for number, _ in line] == list(range(count))
print(f"by hand: {hand_rate:.0f} items a second, in one line: {line_rate:.0f}")
