"""Classify a folder of images, with buffers, lanes and threads chosen while it runs."""

import sys
from pathlib import Path

import nbuffer

model, folder, *device = sys.argv[1:]
pipeline = nbuffer.Pipeline(model, preprocess=nbuffer.ImagePreprocess(), device=device or "cpu")
for path, outputs in pipeline.run(sorted(Path(folder).rglob("*.png"))):
    print(path.name, outputs[0].argmax())
print(pipeline.report, file=sys.stderr)
