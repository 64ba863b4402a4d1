"""Scripts written for the vendor's package, and the names it has."""

import enum
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nbuffer
from conftest import MODELS
from nbuffer import axelera

SCRIPT = Path(__file__).parent / "scripts" / "by_hand.py"


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nbuffer.axelera", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **env})


def checksum(item: int) -> str:
    value = 0xCBF29CE484222325
    for byte in bytes([item]) * 256:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value.to_bytes(8, "little").hex()


@pytest.mark.parametrize("flags", [(), ("--no-double-buffer",), ("--aipu-cores", "1")])
def test_a_loop_by_hand_pairs_every_result(flags: tuple[str, ...]) -> None:
    done = run(str(SCRIPT), str(MODELS / "checksum" / "model.json"), "--items", "30", *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{item} {checksum(item)}" for item in range(30)]


def test_another_device_by_the_environment() -> None:
    script = str(SCRIPT)
    model = str(MODELS / "checksum" / "model.json")
    flags = ("--aipu-cores", "1", "--items", "3")
    done = run(script, model, "--no-double-buffer", *flags, NBUFFER_DEVICE="sim:gpu")
    assert done.returncode == 0, done.stderr
    done = run(script, model, *flags, NBUFFER_DEVICE="sim:gpu")
    assert done.returncode == 1
    assert "NotImplemented: double_buffer is not there on device `sim:gpu`" in done.stderr


def test_a_script_is_run_as_python_would(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 7\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, beside, axelera.runtime, axelera\n"
        "from axelera.runtime import *\n"
        "assert axelera.runtime is sys.modules['axelera.runtime']\n"
        "print(__name__, sys.argv[1:], beside.value, Context.__name__)\n"
        "sys.exit(5)\n"
    )
    done = run(str(script), "--flag", "x")
    assert (done.returncode, done.stdout) == (5, "__main__ ['--flag', 'x'] 7 Context\n"), done.stderr


def test_no_script_is_a_usage_error(tmp_path: Path) -> None:
    assert run().returncode == 2
    done = run(str(tmp_path / "none.py"))
    assert done.returncode == 2 and "there is no script" in done.stderr
    assert run("--help").stdout.startswith("usage: python -m nbuffer.axelera SCRIPT")


def test_install_and_the_names() -> None:
    runtime = axelera.install()
    assert axelera.install() is runtime
    imported = importlib.import_module("axelera.runtime")

    assert imported is runtime
    expected = {
        "Context", "Model", "Connection", "ModelInstance", "TensorInfo", "DeviceInfo", "BoardType", "Object",
        "ConnectionError", "DeviceInUse", "IncompatibleDevice", "InvalidArgument", "InvalidConfiguration",
        "NotImplemented", "Pending", "InternalError", "UnknownError",
    }
    assert expected == set(runtime.__all__)
    for name in expected:
        assert inspect.isclass(getattr(runtime, name))
    boards = {"alpha_pcie": 0, "alpha_m2": 1, "pcie": 2, "m2": 3, "devboard": 4, "sbc": 5, "unknown": 6}
    assert issubclass(runtime.BoardType, enum.Enum)
    assert {board.name: board.value for board in runtime.BoardType} == boards


def test_defaults_are_the_vendors() -> None:
    runtime = axelera.install()
    connect = inspect.signature(runtime.Context.device_connect).parameters
    assert [(p.name, p.default) for p in connect.values()][1:3] == [("device", None), ("num_sub_devices", 1)]
    with runtime.Context() as context:
        assert isinstance(context, runtime.Object) and context.context is context
        (device,) = context.list_devices()
        assert (device.name, device.subdevice_count, device.board_type.name) == ("sim:metis", 4, "unknown")
        connection = context.device_connect(device=device, num_sub_devices=2, device_firmware_check=0, batch_size=1)
        assert context.list_devices()[0].in_use
        connection.release()
        context.device_connect(device_name="sim:metis")
        model = context.load_model(Path(MODELS / "digits" / "model.json"))
        assert isinstance(model, nbuffer.Model)
        with pytest.raises(runtime.InvalidArgument, match="Unknown property key: turbo"):
            context.device_connect(turbo=1)
