"""What all tests share: the models of the repository, and locks that no other run of the tests sees."""

import os
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBUFFER_LOCK_DIR", str(tmp_path / "locks"))
    for name in ("NBUFFER_DEVICE", "NBUFFER_ENGINE", "NBUFFER_POISON"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def profile(tmp_path: Path) -> "Profile":
    return Profile(tmp_path)


class Profile:
    """Makes simulated devices that take as long as a test wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def lockstep(self, late: str | None = None, faults: str = "") -> str:
        """The name of a lockstep device of 4 cores with double buffering, whose calls take microseconds, or longer by `late`."""
        self._count += 1
        file = self._folder / f"device{self._count}.toml"
        if late is not None:
            faults += f'[[fault]]\nkind = "late"\nprobability = 1.0\nseed = 1\nby = "{late}"\n'
        file.write_text(
            'class = "lockstep"\ncores = 4\nkernel_time = "50us"\ndouble_buffer = true\n'
            f'[link]\nduplex = "full"\nwrite_time = "10us"\nread_time = "10us"\n{faults}'
        )
        return f"sim:{os.fspath(file)}"
