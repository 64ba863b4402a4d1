"""Models for tests: what comes out says which item went in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[2]
DIGITS = REPOSITORY / "models/digits"


def identity(folder: Path, *, shape: tuple[int, ...] = (1, 2, 4, 4), batch: int = 1, kernel_s: float = 0.0002) -> Path:
    """A model whose output is its input. Its last channel is padding, and its scale 1/2, so that real numbers are halves."""
    folder.mkdir(parents=True, exist_ok=True)
    padded = [batch, *shape[1:]]
    padding = [0] * (2 * len(shape) - 1) + [1]
    original = [batch, shape[3] - 1, shape[1], shape[2]]
    manifest = {
        "manifest_version": "1.0",
        "quantized_model_file": None,
        "model_lib_file": "model.json",
        "model_params_file": None,
        "preprocess_graph": None,
        "postprocess_graph": None,
        "quantize_params": [[0.5, 3]],
        "dequantize_params": [[0.5, 3]],
        "input_shapes": [padded],
        "output_shapes": [padded],
        "input_shapes_original": [original],
        "output_shapes_original": [original],
        "n_padded_ch_inputs": [padding],
        "n_padded_ch_outputs": [padding],
        "input_tensor_layout": "NHWC",
    }
    model = {
        "inputs": [{"shape": padded}],
        "memory_pools": [],
        "nbuffer": {"format": 1, "kernel": "identity", "kernel_time_s": kernel_s},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "model.json").write_text(json.dumps(model))
    return folder


def payload(number: int, shape: tuple[int, ...] = (1, 2, 4, 3)) -> np.ndarray:
    """Real numbers that int8 of scale 1/2 and zero point 3 holds exactly, and that tell `number` apart up to 120^3."""
    digits = np.array([number % 120, number // 120 % 120, number // 14400 % 120], dtype=np.float32)
    return np.broadcast_to((digits - 60) / 2, shape).copy()


def number(output: np.ndarray) -> int:
    """The number of a payload; every element is looked at."""
    digits = output.reshape(-1, 3) * 2 + 60
    assert (digits == digits[0]).all(), output
    low, middle, high = (int(digit) for digit in digits[0])
    return low + 120 * middle + 14400 * high
