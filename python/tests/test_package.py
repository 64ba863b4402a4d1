"""The package as it is installed."""

import subprocess
import sys

import nbuffer


def test_the_command_line_is_the_rust_one() -> None:
    done = subprocess.run([sys.executable, "-m", "nbuffer", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"nbuffer {nbuffer.__version__}\n")


def test_a_wrong_command_is_exit_status_2() -> None:
    done = subprocess.run([sys.executable, "-m", "nbuffer", "fly"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unrecognized subcommand 'fly'" in done.stderr
