"""Measure a short run, then ask what would make it faster, without trying it out."""

import sys
from pathlib import Path

import nbuffer

model, folder, device = sys.argv[1:]
images = sorted(Path(folder).rglob("*.png"))

pipeline = nbuffer.Pipeline(
    model, preprocess=nbuffer.ImagePreprocess(), device=device, cores=1, buffers=1, double_buffer=False
)
for _ in pipeline.run(images):
    pass

measured = pipeline.report
print(f"measured: {measured.items_per_s:.0f} items a second, one buffer set")
for buffers in (1, 2, 3, 4):
    plan = nbuffer.plan(measured, buffers=buffers)
    simulated = nbuffer.simulate(measured, buffers=buffers, items=1000, cv=0.2)
    print(
        f"{buffers} buffer sets: {1 / plan.period_s:.0f} planned, limited by {plan.binding}; "
        f"{simulated.items_per_s:.0f} simulated with jitter"
    )
print("advice:", *nbuffer.plan(measured).advice, sep="\n  ")
