"""Python's best loops over an engine beside `nbuffer run` on the same one: same model, same images, same machine, in turn.

    python -m venv target/bench-venv
    target/bench-venv/bin/pip install -r benchmarks/requirements.txt
    cargo build --release -p nbuffer
    target/bench-venv/bin/python benchmarks/engines.py --output benchmarks/results/engines.md

Every item is read, decoded, resized, normalised, computed and reduced to its best class. Loading and compiling a model is
not counted on either side. Before a time is told, every class that any loop finds is looked up among the scores of a
plain loop: JPEG decoders and resizers differ by a rounding and int8 steps are coarse, so that the best class may be
another one, but only one that is nearly as good.
"""

import argparse
import json
import os
import queue
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import openvino

import engines_inputs as inputs

ROOT = Path(__file__).resolve().parent.parent
CORES = len(os.sched_getaffinity(0))
OTHERS_MAX = 0.06  # Above this share of the CPU taken by other processes, a figure is void.
NEARLY = 0.1  # A class is nearly the best if its score is less below the best, in parts of the range of all scores.
NEARLY_MIN, SAME_MIN = 0.95, 0.7  # Shares of items that must have such a class, and the very same one.

cv2.setNumThreads(1)


def best(scores):
    return int(np.argmax(scores))


class OrtThreads:
    """ONNX Runtime, a session of one thread for each core; its worker prepares its own items."""

    engine, name = "ort", f"onnxruntime, {CORES} sessions of 1 thread, each thread decodes for itself"

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.sessions = [onnxruntime.InferenceSession(model, options) for _ in range(CORES)]

    def run(self, paths):
        classes, numbers = [None] * len(paths), iter(range(len(paths)))
        lock = threading.Lock()

        def work(session):
            while True:
                with lock:
                    item = next(numbers, None)
                if item is None:
                    return
                (scores,) = session.run(None, {"image": inputs.tensor(paths[item].read_bytes())})
                classes[item] = best(scores)

        workers = [threading.Thread(target=work, args=(session,)) for session in self.sessions]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return classes


def prefetched(paths, pool, ahead):
    """Inputs in order, `ahead` of them prepared before they are asked for."""
    waiting = queue.SimpleQueue()
    for path in paths[:ahead]:
        waiting.put(pool.submit(lambda path=path: inputs.tensor(path.read_bytes())))
    for item in range(len(paths)):
        ready = waiting.get().result()
        if item + ahead < len(paths):
            waiting.put(pool.submit(lambda path=paths[item + ahead]: inputs.tensor(path.read_bytes())))
        yield item, ready


class OrtPool:
    """ONNX Runtime as most use it: one session on all cores, fed by a pool of decoders."""

    engine, name = "ort", f"onnxruntime, 1 session of {CORES} threads, a pool of {CORES} decoders ahead"

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = CORES
        self.session = onnxruntime.InferenceSession(model, options)

    def run(self, paths):
        with ThreadPoolExecutor(CORES) as pool:
            each = prefetched(paths, pool, 2 * CORES)
            return [best(self.session.run(None, {"image": ready})[0]) for _, ready in each]


class OpenVinoQueue:
    """OpenVINO's own asynchronous queue, tuned for throughput, fed by a pool of decoders."""

    engine, name = "openvino", f"openvino, AsyncInferQueue (THROUGHPUT), a pool of {CORES} decoders ahead"

    def __init__(self, model):
        hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
        self.compiled = openvino.Core().compile_model(model, "CPU", hints)
        self.queue = openvino.AsyncInferQueue(self.compiled)

    def run(self, paths):
        classes = [None] * len(paths)

        def done(request, held):
            item, _ = held  # The input is shared with the request, and must live as long.
            classes[item] = best(request.get_output_tensor(0).data)

        self.queue.set_callback(done)
        with ThreadPoolExecutor(CORES) as pool:
            for item, ready in prefetched(paths, pool, 2 * CORES):
                self.queue.start_async({0: ready}, (item, ready), share_inputs=True)
        self.queue.wait_all()
        return classes


class Nbuffer:
    """`nbuffer run`, everything left to it."""

    def __init__(self, engine, binary, model, library):
        self.engine, self.binary, self.model, self.library = engine, binary, model, library
        self.name = f"nbuffer run --engine {engine}"

    def run(self, folder, n_items):
        with tempfile.TemporaryDirectory() as directory:
            results, summary = Path(directory, "results.jsonl"), Path(directory, "summary.json")
            mean, std = (",".join([str(value)] * 3) for value in (inputs.MEAN, inputs.STD))
            command = [self.binary, "run", self.model, folder, "--engine", self.engine, "--quiet", "--repeat", "1000"]
            command += ["--limit", str(n_items), "--mean", mean, "--std", std, *self.library]
            subprocess.run([*command, "--output", results, "--summary", summary], check=True)
            lines = [json.loads(line) for line in results.read_text().splitlines()]
            self.summary = json.loads(summary.read_text())
        return [line["result"]["class"] for line in lines], self.summary["wall_s"]


def cpu():
    """Clock ticks so far: of the machine, of them busy, and of this process and its children in seconds."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in used)
    return sum(ticks), sum(ticks) - ticks[3] - ticks[4], own * os.sysconf("SC_CLK_TCK")


def others_share(before, after):
    total, busy, own = (late - early for early, late in zip(before, after))
    return max(0.0, busy - own) / max(1, total)


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{name}, {CORES} cores"


def libraries():
    ort = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    return {"ort": ["--ort-library", ort], "openvino": ["--openvino-library", Path(openvino.__file__).parent / "libs"]}


class Reference:
    """The scores of each file, by the plainest loop there is."""

    def __init__(self, model, files):
        session = onnxruntime.InferenceSession(model)
        self.scores = [session.run(None, {"image": inputs.tensor(path.read_bytes())})[0][0] for path in files]

    def agree(self, classes, shift=0):
        """Shares of items whose class is nearly the best one, and the very same, `shift` files further on."""
        of_item = [self.scores[(item + shift) % len(self.scores)] for item in range(len(classes))]
        nearly = sum(np.max(s) - s[c] <= NEARLY * np.ptp(s) for s, c in zip(of_item, classes))
        same = sum(best(s) == c for s, c in zip(of_item, classes))
        return nearly / len(classes), same / len(classes)

    def check(self, classes, n_items, who):
        nearly, same = self.agree(classes)
        if len(classes) != n_items or nearly < NEARLY_MIN or same < SAME_MIN:
            sys.exit(f"{who}: {len(classes)} of {n_items} items, {nearly:.1%} with a class that is nearly the best, {same:.1%} the same")
        if self.agree(classes, shift=1)[0] > 0.5:
            sys.exit(f"{who}: the classes would also pass for those of other items, so that they show nothing")


def measure(loops, workload, folder, args):
    files = sorted((folder / workload).iterdir())
    paths = [files[item % len(files)] for item in range(args.items)]
    reference = Reference(args.folder / "model.onnx", files)
    times = {loop.name: [] for loop in loops}
    shares = {loop.name: [] for loop in loops}
    for turn in range(args.rounds + 1):
        for loop in loops:
            before = cpu()
            if isinstance(loop, Nbuffer):
                classes, wall_s = loop.run(folder / workload, args.items)
            else:
                start = time.perf_counter()
                classes = loop.run(paths)
                wall_s = time.perf_counter() - start
            share = others_share(before, cpu())
            reference.check(classes, args.items, f"{workload}: {loop.name}")
            if turn > 0:  # The first one warms up.
                times[loop.name].append(wall_s)
                shares[loop.name].append(share)
    return times, shares


def table(loops, times, shares, n_items):
    rows = ["| engine | loop | items/s | min-max | ms an item | beside Python's best | others' CPU |"]
    rows.append("|---|---|--:|--:|--:|--:|--:|")
    medians = {name: statistics.median(each) for name, each in times.items()}
    for engine in ("ort", "openvino"):
        of_engine = [loop for loop in loops if loop.engine == engine]
        best_s = min(medians[loop.name] for loop in of_engine if not isinstance(loop, Nbuffer))
        for loop in of_engine:
            each = times[loop.name]
            rates = [n_items / wall_s for wall_s in (max(each), min(each))]
            share = statistics.median(shares[loop.name])
            void = " VOID" if share > OTHERS_MAX else ""
            rows.append(
                f"| {engine} | {loop.name} | {n_items / medians[loop.name]:.1f} | {rates[0]:.1f}-{rates[1]:.1f} "
                f"| {1000 * medians[loop.name] / n_items:.2f} | {best_s / medians[loop.name]:.3f} | {share:.1%}{void} |"
            )
    return "\n".join(rows)


def chosen(loop):
    summary = loop.summary
    sets = f"{summary['buffers']['inputs']}+{summary['buffers']['outputs']}"
    threads = f"{summary['host_threads']} host thread(s)"
    return f"- {loop.name}: {summary['lanes']} lanes, {sets} sets each, {threads}; {'; '.join(summary['remarks'])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nbuffer", default=ROOT / "target/release/nbuffer", type=Path)
    parser.add_argument("--folder", default=ROOT / "target/engines-bench", type=Path, help="for what is generated")
    parser.add_argument("--items", default=300, type=int)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--images", default=60, type=int, help="different images, taken in turn")
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--workload", action="append", choices=["large", "small"])
    parser.add_argument("--output", type=Path, help="write the table here too")
    parser.add_argument("--make-only", action="store_true", help="generate model and images, and stop")
    args = parser.parse_args()

    workloads = inputs.make(args.folder, args.seed, args.images)
    if args.make_only:
        return
    model, library = args.folder / "model.onnx", libraries()
    loops = [OrtThreads(model), OrtPool(model), Nbuffer("ort", args.nbuffer, model, library["ort"])]
    loops += [OpenVinoQueue(model), Nbuffer("openvino", args.nbuffer, model, library["openvino"])]
    command = " ".join(["python benchmarks/engines.py", *sys.argv[1:]])
    text = [f"# Engines: Python's best loops beside nbuffer\n\n`{command}`\n"]
    text.append(
        f"{processor()}. onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__.split('-')[0]}. "
        f"{args.items} items a run, {args.rounds} rounds of all loops in turn after one to warm up; medians. In every run each "
        f"item's class was compared with the scores of a plain loop. Figures are void where other processes took more than {OTHERS_MAX:.0%} of the CPU."
    )
    for workload in args.workload or workloads:
        width, height = workloads[workload]
        times, shares = measure(loops, workload, args.folder, args)
        text.append(f"\n## JPEGs of {width} x {height}, int8 residual network at 224 x 224\n")
        text.append(table(loops, times, shares, args.items))
        text.append("\nWhat nbuffer chose, in its last run:\n")
        text += [chosen(loop) for loop in loops if isinstance(loop, Nbuffer)]
    page = "\n".join(text) + "\n"
    print(page)
    if args.output:
        args.output.write_text(page)


if __name__ == "__main__":
    main()
