"""The package as it is installed."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nbuffer
from conftest import MODELS

ROOT = MODELS.parent


def test_the_command_line_is_the_rust_one() -> None:
    done = subprocess.run([sys.executable, "-m", "nbuffer", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"nbuffer {nbuffer.__version__}\n")


def test_a_wrong_command_is_exit_status_2() -> None:
    done = subprocess.run([sys.executable, "-m", "nbuffer", "fly"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unrecognized subcommand 'fly'" in done.stderr


def test_ctrl_c_ends_a_run_in_order() -> None:
    digits = MODELS / "digits"
    command = [sys.executable, "-m", "nbuffer", "run", str(digits), str(digits / "images"), "--repeat", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in said


@pytest.mark.parametrize("page", ["docs/python/coming-from-axelera-runtime.md"])
def test_examples_of_the_documents_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"^```python\n(.*?)^```$", Path(page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
