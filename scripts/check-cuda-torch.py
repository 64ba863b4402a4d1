"""The transfer-bound work of check-cuda with PyTorch: pinned memory, one stream for each stage, N = 1, 2, 3.

Adds a section to the results that `measure` has written. Every item carries its number in its signs, as there; a wrong
value ends it without a time.
"""

import glob
import json
import os
import statistics
import sys
import time

import torch

EDGE = 32


def signs(item, start):
    return torch.tensor([-1.0 if item >> (i % 32) & 1 else 1.0 for i in range(start, start + EDGE)])


class BufferSet:
    def __init__(self, elements):
        self.input = torch.ones(elements).pin_memory()
        self.output = torch.zeros(elements).pin_memory()
        self.device_input = torch.empty(elements, device="cuda")
        self.device_output = torch.empty(elements, device="cuda")
        self.written, self.computed, self.landed = (torch.cuda.Event() for _ in range(3))
        self.item = None


def finish(buffer_set):
    buffer_set.landed.synchronize()
    item, elements = buffer_set.item, buffer_set.output.numel()
    edges = ((buffer_set.output[:EDGE], 0), (buffer_set.output[-EDGE:], elements - EDGE))
    for values, start in edges:
        if not torch.equal(values, signs(item, start)):
            sys.exit(f"item {item}: wrong values")
    buffer_set.output[:EDGE] = float("nan")
    buffer_set.output[-EDGE:] = float("nan")


def run(depth, items, elements):
    """Seconds an item takes."""
    sets = [BufferSet(elements) for _ in range(depth)]
    write, kernel, read = (torch.cuda.Stream() for _ in range(3))
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for item in range(items):
        buffer_set = sets[item % depth]
        if buffer_set.item is not None:
            finish(buffer_set)
        buffer_set.item = item
        buffer_set.input[:EDGE] = signs(item, 0)
        buffer_set.input[-EDGE:] = signs(item, elements - EDGE)
        with torch.cuda.stream(write):
            buffer_set.device_input.copy_(buffer_set.input, non_blocking=True)
            buffer_set.written.record()
        with torch.cuda.stream(kernel):
            kernel.wait_event(buffer_set.written)
            buffer_set.device_output.copy_(buffer_set.device_input)
            buffer_set.computed.record()
        with torch.cuda.stream(read):
            read.wait_event(buffer_set.computed)
            buffer_set.output.copy_(buffer_set.device_output, non_blocking=True)
            buffer_set.landed.record()
    for buffer_set in sets:
        if buffer_set.item is not None:
            finish(buffer_set)
    return (time.perf_counter() - begun) / items


def main():
    folder = sys.argv[1]
    newest = max(glob.glob(os.path.join(folder, "cuda-*.json")), key=os.path.getmtime)
    with open(newest, encoding="utf-8") as file:
        results = json.load(file)
    workload = next(w for w in results["workloads"] if w["name"] == "transfer-bound")
    elements, items = workload["input_bytes"] // 4, workload["items"]
    bound = workload["bound"]["period_s"]
    runs, lines = [], []
    for depth in (1, 2, 3):
        run(depth, 20, elements)
        periods = [run(depth, items, elements) for _ in range(results["runs"])]
        period = statistics.median(periods)
        runs.append(
            {
                "name": f"PyTorch {torch.__version__}, N = {depth}",
                "period_s": period,
                "fastest_s": min(periods),
                "slowest_s": max(periods),
                "efficiency": bound / period,
            }
        )
        spread = f"{min(periods) * 1e6:.1f} us to {max(periods) * 1e6:.1f} us"
        lines.append(f"| N = {depth} | {period * 1e6:.1f} us | {spread} | {bound / period:.3f} |")
    results["torch"] = {"version": torch.__version__, "workload": "transfer-bound", "runs": runs}
    with open(newest, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=2)
        file.write("\n")
    text = f"## transfer-bound with PyTorch {torch.__version__}: pinned memory, three streams, one Python thread\n\n"
    text += "| run | an item | fastest to slowest | efficiency |\n|---|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    with open(newest[: -len("json")] + "md", "a", encoding="utf-8") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
