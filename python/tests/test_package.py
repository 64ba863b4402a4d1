"""The package as it is installed."""

import ast
import inspect
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


def test_help_and_stubs_say_the_same() -> None:
    stub = ast.parse(Path(nbuffer.__file__).with_name("_native.pyi").read_text())
    compared = 0

    def compare(node: ast.ClassDef | ast.FunctionDef, there: object) -> None:
        nonlocal compared
        if (said := ast.get_docstring(node)) is not None:
            assert inspect.getdoc(there) == said, node.name
            compared += 1
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef):
                compare(inner, getattr(there, inner.name))

    for node in stub.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            compare(node, getattr(nbuffer._native, node.name))
    assert compared > 30


def test_every_public_name_says_what_it_is() -> None:
    for name in nbuffer.__all__:
        there = getattr(nbuffer, name)
        assert name == "__version__" or inspect.getdoc(there), name
        for inner, method in vars(there).items() if isinstance(there, type) else ():
            if callable(method) and not inner.startswith("_"):
                assert inspect.getdoc(method), f"{name}.{inner}"


PAGES = ["README.md", "docs/python/coming-from-axelera-runtime.md", "docs/python/hand-written-queue.md"]


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_documents_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"^```python\n(.*?)^```$", Path(page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_every_page_with_python_is_among_them() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert {page for page in pages if "```python" in page.read_text()} == {ROOT / page for page in PAGES}
