"""A loop in the vendor's style: workers, primers, flushes, a deque that pairs results with items."""

import argparse
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from axelera.runtime import Context


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--aipu-cores", type=int, default=4)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--no-double-buffer", dest="double_buffer", action="store_false")
    args = parser.parse_args()

    with Context() as context:
        model = context.load_model(args.model)
        (info,), (out_info,) = model.inputs(), model.outputs()
        batch = info.shape[0]
        workers = []
        for _ in range(args.aipu_cores // batch):
            connection = context.device_connect(None, batch)
            workers.append(
                connection.load_model_instance(
                    model, num_sub_devices=batch, aipu_cores=batch, double_buffer=args.double_buffer
                )
            )
        lag = 2 * len(workers) if args.double_buffer else 0
        inputs = [np.zeros(info.shape, np.int8) for _ in workers]
        outputs = [np.zeros(out_info.shape, np.int8) for _ in workers]
        pools = [ThreadPoolExecutor(1) for _ in workers]
        waiting: deque[int | None] = deque([None] * lag)
        for count, item in enumerate([*range(args.items), *[None] * lag]):
            worker = count % len(workers)
            inputs[worker][:] = 0 if item is None else item
            # One call at a time: collected before the next one to this worker.
            pools[worker].submit(workers[worker].run, [inputs[worker]], [outputs[worker]]).result()
            waiting.append(item)
            done = waiting.popleft()
            if done is not None:
                print(done, outputs[worker].tobytes()[:8].hex())
        for pool in pools:
            pool.shutdown()


if __name__ == "__main__":
    main()
