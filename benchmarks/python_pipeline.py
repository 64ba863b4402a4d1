"""What Python costs: double buffering by hand beside the one-line pipeline, and nanoseconds an item over Rust.

    python benchmarks/python_pipeline.py [ROUNDS]

Needs the package as built for release (`pip install .`) and cargo. Every run checks each of its results before its time
counts. Rounds take turns; medians are printed with the least and the most.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nbuffer

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "python/tests"))
from models import identity  # noqa: E402

ITEMS = 20_000
SHAPE = (1, 2, 4, 3)


def payload(item: int) -> np.ndarray:
    return np.full(SHAPE, item % 100 / 2, np.float32)


def in_place(item: int, out: np.ndarray) -> None:
    out[..., :3] = item % 100 + 3


def checked(results: Any) -> None:
    count = 0
    for count, (item, outputs) in enumerate(results, 1):
        if outputs[0][0, 0, 0, 0] != (count - 1) % 100 / 2:
            sys.exit(f"result {count - 1} is wrong: {outputs[0]}")
    if count != ITEMS:
        sys.exit(f"{count} results of {ITEMS} items")


def submitted(pipeline: nbuffer.Pipeline) -> None:
    results = pipeline.results()
    feeding = threading.Thread(target=lambda: ([pipeline.submit(i) for i in range(ITEMS)], pipeline.finish()))
    feeding.start()
    checked(results)
    feeding.join()
    pipeline.close()


def ns_an_item(run: Callable[[], None]) -> float:
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / ITEMS


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):>9.0f}  {min(values):>8.0f} - {max(values):<8.0f}"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        small = identity(Path(folder) / "small")
        arrays = [payload(item) for item in range(100)]
        make = lambda **options: nbuffer.Pipeline(small, **options)  # noqa: E731
        ways: dict[str, Callable[[], None]] = {
            "items are arrays": lambda: checked(make().run(arrays[i % 100] for i in range(ITEMS))),
            "preprocess(item)": lambda: checked(make(preprocess=payload).run(range(ITEMS))),
            "preprocess(item, out)": lambda: checked(make(preprocess=in_place).run(range(ITEMS))),
            "both callables": lambda: checked(
                make(preprocess=payload, postprocess=lambda item, outputs: outputs).run(range(ITEMS))
            ),
            "submit, results": lambda: submitted(make(preprocess=payload)),
        }
        times: dict[str, list[float]] = {name: [] for name in ["Rust", *ways]}
        rust = ["cargo", "run", "--release", "--quiet", "-p", "nbuffer-bench", "--example", "items", "--"]
        rust += [str(small), "cpu", str(ITEMS)]
        subprocess.run(rust, check=True, capture_output=True, cwd=REPOSITORY)
        for _ in range(rounds):
            times["Rust"].append(float(subprocess.run(rust, check=True, capture_output=True, cwd=REPOSITORY).stdout))
            for name, run in ways.items():
                times[name].append(ns_an_item(run))

        print(f"machine      {platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"an item      {SHAPE} float32 in, quantised; int8 out, dequantised; identity on `cpu`; N chosen while it runs")
        print(f"runs         {rounds} rounds of {ITEMS} items, in turn; all results checked\n")
        base = statistics.median(times["Rust"])
        print(f"  {'ns an item':<22}   median       min - max        over Rust")
        for name, values in times.items():
            over = statistics.median(values) - base
            print(f"  {name:<22}{spread(values)}  {'' if name == 'Rust' else f'{over:+.0f}'}")

        print("\n  items a second, 4 cores of sim:metis, double buffering")
        example = REPOSITORY / "python/examples/03_double_buffering_by_hand.py"
        for name, model, count in [
            ("kernel 200 us, 32 B", small, 8000),
            ("kernel 500 us, 1.7 MB", REPOSITORY / "models/copy", 500),
        ]:
            rates = []
            for _ in range(rounds):
                command = [sys.executable, str(example), str(model), "sim:metis", str(count)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                # "by hand: 1234 items a second, in one line: 1300"
                words = said.split()
                rates.append((float(words[2]), float(words[-1])))
            hand, line = ([rate[i] for rate in rates] for i in (0, 1))
            better = statistics.median(line) / statistics.median(hand)
            print(f"  {name:<22} by hand {spread(hand)}   in one line {spread(line)}   {better:.3f} x")


if __name__ == "__main__":
    main()
