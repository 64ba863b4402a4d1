"""What Python costs: microseconds an item over the same pipeline in Rust, and double buffering by hand beside one line.

    python3 -m venv target/bench-venv
    target/bench-venv/bin/pip install .
    cargo build --release -p nbuffer-bench --example items
    target/bench-venv/bin/python benchmarks/python_pipeline.py --output benchmarks/results/python_pipeline.md

Every run checks each of its results before its time counts: results are those of their items, in order. Ways take turns;
medians stand with the least and the most.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

import nbuffer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python/tests"))
from models import identity  # noqa: E402

SHAPE = (1, 2, 4, 3)
OTHERS_MAX = 0.06  # Above this share of the CPU taken by other processes, a figure is void.
# Four lanes, whose calls compute nothing and take no time of their own.
DEVICE, CORES = ["cpu"] * 4, 1


def payload(item: int) -> np.ndarray:
    return np.full(SHAPE, item % 60, np.float32)


def in_place(item: int, out: np.ndarray) -> None:
    out[..., :3] = 2 * (item % 60) + 3


def first(item: Any, outputs: list[np.ndarray]) -> float:
    return outputs[0][0, 0, 0, 0]


class Bench:
    """The ways to run the same items. Each gives the seconds of a run whose results were right."""

    def __init__(self, model: Path, rust: Path, items: int) -> None:
        self.model, self.rust, self.items = model, rust, items
        self.arrays = [payload(item) for item in range(60)]
        self.pixels = [np.full((2, 4, 3), item, np.uint8) for item in range(60)]

    def ways(self) -> dict[str, Callable[[], float]]:
        image = nbuffer.ImagePreprocess(mean=0.0, std=1 / 255)
        return {
            "Rust, no Python": self.in_rust,
            "items are arrays": lambda: self.run(self.each(self.arrays)),
            "native preprocess": lambda: self.run(self.each(self.pixels), preprocess=image),
            "`preprocess(item)`": lambda: self.run(range(self.items), preprocess=payload),
            "`preprocess(item, out)`": lambda: self.run(range(self.items), preprocess=in_place),
            "both callables": lambda: self.run(range(self.items), preprocess=payload, postprocess=first),
            "both, `submit`, futures": self.futures,
            "both, `submit`, `results()`": self.results,
            "by hand: `ModelInstance.run`": self.by_hand,
        }

    def each(self, items: list[np.ndarray]) -> Iterable[np.ndarray]:
        return (items[number % 60] for number in range(self.items))

    def check(self, values: Iterable[float], start: float) -> float:
        count = 0
        for count, value in enumerate(values, 1):
            if value != (count - 1) % 60:
                sys.exit(f"result {count - 1} is {value}")
        if count != self.items:
            sys.exit(f"{count} results of {self.items} items")
        return time.perf_counter() - start

    def in_rust(self) -> float:
        command = [self.rust, self.model, ",".join(DEVICE), str(self.items)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * self.items / 1e9

    def run(self, items: Iterable[Any], **options: Any) -> float:
        pipeline = nbuffer.Pipeline(self.model, device=DEVICE, cores=CORES, **options)
        has_values = "postprocess" in options
        start = time.perf_counter()
        results = (outputs for _, outputs in pipeline.run(items))
        return self.check(results if has_values else (outputs[0][0, 0, 0, 0] for outputs in results), start)

    def futures(self) -> float:
        with nbuffer.Pipeline(self.model, preprocess=payload, postprocess=first, device=DEVICE, cores=CORES) as pipeline:
            waiting: deque[Future[float]] = deque()

            def values() -> Iterable[float]:
                for item in range(self.items):
                    waiting.append(pipeline.submit(item))
                    if len(waiting) > 64:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()

            return self.check(values(), time.perf_counter())

    def results(self) -> float:
        with nbuffer.Pipeline(self.model, preprocess=payload, postprocess=first, device=DEVICE, cores=CORES) as pipeline:
            results = pipeline.results()

            def feed() -> None:
                for item in range(self.items):
                    pipeline.submit(item)
                pipeline.finish()

            feeding = threading.Thread(target=feed)
            start = time.perf_counter()
            feeding.start()
            took = self.check((value for _, value in results), start)
            feeding.join()
            return took

    def by_hand(self) -> float:
        """One instance, called in turn: what is left when nothing overlaps and nobody hands anything over."""
        with nbuffer.Context("cpu") as context:
            model = context.load_model(self.model)
            (info,), (out_info,) = model.inputs(), model.outputs()
            instance = context.device_connect().load_model_instance(model)

            def values() -> Iterable[float]:
                for item in range(self.items):
                    output = np.empty(out_info.shape, np.int8)
                    instance.run([nbuffer.quantize_pad(payload(item), info)], [output])
                    yield first(item, [nbuffer.depad_dequantize(output, out_info)])

            return self.check(values(), time.perf_counter())


def side_by_side(model: Path, count: int) -> tuple[float, float]:
    """Items a second by hand and in one line; the example compares the results."""
    example = ROOT / "python/examples/03_double_buffering_by_hand.py"
    command = [sys.executable, str(example), str(model), "sim:metis", str(count)]
    # "by hand: 1234 items a second, in one line: 1300"
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(words[2]), float(words[-1])


def copy_us(size: int, times: int) -> float:
    """Microseconds a call of `ModelInstance.run` takes to copy so many bytes in and out, beside one of few bytes."""
    took = []
    with tempfile.TemporaryDirectory() as folder, nbuffer.Context("cpu") as context:
        for elements in (4, size):
            model = context.load_model(identity(Path(folder) / str(elements), shape=(1, 1, elements // 4, 4)))
            with context.device_connect().load_model_instance(model) as instance:
                array, output = np.arange(elements, dtype=np.int8), np.empty(elements, np.int8)
                each = []
                for _ in range(times):
                    start = time.perf_counter()
                    instance.run([array], [output])
                    each.append(time.perf_counter() - start)
                assert (output == array).all()
                took.append(statistics.median(each))
    return (took[1] - took[0]) * 1e6


class Others:
    """The share of the machine's CPU that other processes took."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def during(self, run: Callable[[], Any]) -> Any:
        before = self.ticks()
        result = run()
        total, busy, own = (late - early for early, late in zip(before, self.ticks()))
        self.shares.append(max(0.0, busy - own) / max(1.0, total))
        return result

    @staticmethod
    def ticks() -> tuple[float, float, float]:
        """Clock ticks so far: of the machine, of them busy, and those of this process and its children."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = sum(usage.ru_utime + usage.ru_stime for usage in used) * os.sysconf("SC_CLK_TCK")
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4], own

    def __str__(self) -> str:
        share = statistics.median(self.shares)
        return f"{share:.1%}{' VOID' if share > OTHERS_MAX else ''}"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rust", default=ROOT / "target/release/examples/items", type=Path)
    parser.add_argument("--items", default=10_000, type=int)
    parser.add_argument("--rounds", default=7, type=int)
    parser.add_argument("--only", help="the part of a way's name; then nothing else is measured")
    parser.add_argument("--output", type=Path, help="write the page here too")
    args = parser.parse_args()
    if not args.rust.exists():
        parser.error(f"{args.rust} is not there: cargo build --release -p nbuffer-bench --example items")

    page = [f"# Python: what an item costs over Rust\n\n`{' '.join(['python benchmarks/python_pipeline.py', *sys.argv[1:]])}`\n"]
    page.append(
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}. "
        f"{args.rounds} rounds of all ways in turn, after one to warm up; medians. Every result of every run was checked. "
        f"Figures are void where other processes took more than {OTHERS_MAX:.0%} of the CPU.\n"
    )
    page.append(
        f"{args.items} items a run through 4 lanes of a model that gives back its input and takes no time: {SHAPE} float32 in, "
        "quantised and padded; int8 out, depadded and dequantised. Sets and host threads are chosen by nbuffer. So this is "
        "all hand-over and conversion, and nothing hides it.\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        small = identity(Path(folder) / "small")
        ways = Bench(small, args.rust, args.items).ways()
        if args.only:
            ways = {name: way for name, way in ways.items() if args.only in name}
        times: dict[str, list[float]] = {name: [] for name in ways}
        others = {name: Others() for name in ways}
        for turn in range(args.rounds + 1):
            for name, way in ways.items():
                took = others[name].during(way)
                if turn > 0:
                    times[name].append(took / args.items * 1e6)
        base = statistics.median(next(iter(times.values())))
        page.append("| way | µs an item | min-max | over Rust | others' CPU |\n|---|--:|--:|--:|--:|")
        for name, each in times.items():
            over = statistics.median(each) - base
            spread = f"{min(each):.2f}-{max(each):.2f}"
            page.append(f"| {name} | {statistics.median(each):.2f} | {spread} | {over:+.2f} | {others[name]} |")

        if not args.only:
            page.append("\n## Double buffering by hand, beside one line\n")
            page.append(
                "`python/examples/03_double_buffering_by_hand.py` on the 4 cores of `sim:metis`: workers, primers, flushes and a deque, "
                "beside the pipeline with the same callables. The results are equal.\n"
            )
            page.append("| model | items | by hand, items/s | min-max | in one line, items/s | min-max | ratio | others' CPU |")
            page.append("|---|--:|--:|--:|--:|--:|--:|--:|")
            for name, model, count in [
                ("`models/digits`", ROOT / "models/digits", 2000),
                ("identity, 32 B, kernel 200 µs", small, 4000),
                ("`models/copy`, 1.7 MB", ROOT / "models/copy", 300),
            ]:
                share = Others()
                rates = [share.during(lambda: side_by_side(model, count)) for _ in range(args.rounds)]
                hand, line = ([rate[side] for rate in rates] for side in (0, 1))
                middle = [statistics.median(hand), statistics.median(line)]
                page.append(
                    f"| {name} | {count} | {middle[0]:.0f} | {min(hand):.0f}-{max(hand):.0f} | {middle[1]:.0f} "
                    f"| {min(line):.0f}-{max(line):.0f} | {middle[1] / middle[0]:.3f} | {share} |"
                )
            page.append("\n## What the copies of `ModelInstance.run` cost\n")
            page.append(
                "One in, before anything else happens, and one out, on `cpu`; beside a call with 4 B each way. The model gives back its "
                "input, and its own copy is in these times too.\n"
            )
            page.append("| bytes each way | µs a call more |\n|--:|--:|")
            for size in (150_528, 602_112, 1_720_320):
                page.append(f"| {size} | {copy_us(size, 200):.1f} |")
    text = "\n".join(page) + "\n"
    print(text, end="")
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
