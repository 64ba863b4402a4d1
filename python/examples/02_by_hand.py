"""The same by hand: a thread for each core, queues, frames to fill them and frames to drain them.

This is what a pipeline takes away. Results belong to the item that went in, because each worker does one item at a time
and the workers are asked in turn; whoever breaks that rhythm pairs results with the wrong items.
"""

import queue
import sys
import threading
from pathlib import Path

import numpy as np

import nbuffer

model_path, device, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Worker(threading.Thread):
    """One core: takes inputs, runs them, gives outputs, until it gets None."""

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


with nbuffer.Context(device) as context:
    model = context.load_model(model_path / "model.json")
    [info] = model.inputs()
    shapes = [output.shape for output in model.outputs()]
    cores = context.list_devices()[0].subdevice_count
    workers = [
        Worker(context.device_connect(None, 1).load_model_instance(model, num_sub_devices=1), shapes)
        for _ in range(cores)
    ]
    for worker in workers:
        worker.start()

    frames = [np.full(info.shape, number % 100, np.int8) for number in range(count)]
    # Fill: one frame on its way in each worker before the first result is waited for.
    for number in range(min(cores, count)):
        workers[number].work.put(frames[number])
    for number in range(count):
        worker = workers[number % cores]
        outputs = worker.done.get()
        # Drain: towards the end there is nothing left to put.
        if number + cores < count:
            worker.work.put(frames[number + cores])
        print(number, outputs[0].ravel()[0])
    for worker in workers:
        worker.work.put(None)
    for worker in workers:
        worker.join()
