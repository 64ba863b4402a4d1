"""A camera that does not wait: each frame is shown as soon as its result is there, and stale ones are dropped.

The camera here draws its own frames, faster than the device can take them.
"""

import sys
import threading
import time

import numpy as np

import nbuffer

model, device = sys.argv[1:]
FRAMES = 200


def camera(pipeline: nbuffer.Pipeline) -> None:
    for number in range(FRAMES):
        frame = np.full((8, 8, 3), number % 256, np.uint8)
        pipeline.submit(frame, tag=(number, time.monotonic()))
        time.sleep(0.0002)
    pipeline.finish()


with nbuffer.Pipeline(
    model, preprocess=nbuffer.ImagePreprocess(), device=device, cores=1, overload="drop-oldest", inbox=2
) as pipeline:
    results = pipeline.results()
    threading.Thread(target=camera, args=(pipeline,)).start()
    shown = []
    for (number, taken_at), outputs in results:
        shown.append(number)
        age_ms = 1e3 * (time.monotonic() - taken_at)
        print(f"frame {number}: class {outputs[0].argmax()}, {age_ms:.1f} ms old")

items = pipeline.report.items
print(f"{items.ok} frames shown, {items.dropped} dropped", file=sys.stderr)
assert shown == sorted(shown) and items.ok + items.dropped == FRAMES
