"""`nbuffer[ort]`: the library of the package onnxruntime is found by itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbuffer
from conftest import MODELS
from nbuffer import _defaults


@pytest.fixture(autouse=True)
def _from_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DYLIB_PATH", raising=False)
    if _defaults.onnxruntime_library() is None:
        pytest.skip("the package onnxruntime is not installed")


def test_both_engines_give_the_same_classes() -> None:
    given = {}
    for engine in ("rten", "ort"):
        with nbuffer.Context("cpu", engine=engine) as context:
            model = context.load_model(MODELS / "digits")
            instance = context.device_connect().load_model_instance(model)
            (info,), (out_info,) = model.inputs(), model.outputs()
            output = np.empty(out_info.shape, np.int8)
            image = np.linspace(-1, 1, 192, dtype=np.float32)
            instance.run([nbuffer.quantize_pad(image, info)], [output])
            given[engine] = nbuffer.depad_dequantize(output, out_info)
    # The engines may differ by one step of the quantisation.
    np.testing.assert_allclose(given["rten"], given["ort"], atol=0.2501)


def test_the_command_finds_it_too() -> None:
    devices = [sys.executable, "-m", "nbuffer", "devices"]
    done = subprocess.run(devices, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    library = _defaults.onnxruntime_library()
    assert library is not None and Path(library).name in done.stdout
