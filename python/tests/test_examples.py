"""Each example runs, and says what it should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from models import DIGITS, REPOSITORY, identity

EXAMPLES = REPOSITORY / "python/examples"
IMAGES = DIGITS / "images"
COUNT = len(list(IMAGES.rglob("*.png")))


def example(name: str, *arguments: str | Path) -> tuple[list[str], str]:
    """What an example prints, in lines, and what it says beside."""
    [script] = EXAMPLES.glob(f"{name}_*.py")
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_every_example_is_tested() -> None:
    names = {path.name[:2] for path in EXAMPLES.glob("*.py")}
    text = Path(__file__).read_text()
    assert names and all(f'example("{name}"' in text for name in names), names


def test_classify_a_folder() -> None:
    lines, said = example("01", DIGITS, IMAGES)
    truth = {path.name: path.parent.name for path in IMAGES.rglob("*.png")}
    right = sum(truth[name] == digit for name, digit in map(str.split, lines))
    assert (len(lines), right) == (COUNT, 355) and f"{COUNT} ok" in said


def test_by_hand(tmp_path: Path) -> None:
    for count in (0, 3, 150):
        lines, _ = example("02", identity(tmp_path / "m"), "sim:metis", str(count))
        assert lines == [f"{number} {number % 100}" for number in range(count)]


def test_double_buffering_by_hand(tmp_path: Path) -> None:
    for count in (1, 3, 300):
        [line], _ = example("03", identity(tmp_path / "m"), "sim:metis", str(count))
        assert line.startswith("by hand: ")


def test_two_models_in_cascade() -> None:
    lines, said = example("04", DIGITS, "sim:metis")
    assert [line.split(":")[0] for line in lines] == [f"frame {number}" for number in range(200)]
    assert said.count("200 ok") == 2
    assert len({line.split(": ")[1] for line in lines}) > 4


def test_a_live_source() -> None:
    lines, said = example("05", DIGITS, "sim:metis")
    shown, dropped = map(int, re.findall(r"\d+", said))
    assert (len(lines), shown + dropped) == (shown, 200) and dropped > 0


def test_plan_from_a_run() -> None:
    lines, _ = example("06", DIGITS, IMAGES, "sim:metis")
    planned = [int(line.split()[3]) for line in lines[1:5]]
    assert planned == sorted(planned) and lines[0].startswith("measured:")
