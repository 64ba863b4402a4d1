"""What holds when nobody says otherwise: devices, the engine, and where ONNX Runtime's library is."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path


def devices(given: str | Sequence[str] | None = None, otherwise: str = "cpu") -> list[str]:
    """Device names: those given, else those of `NBUFFER_DEVICE`, which commas separate."""
    if given is None:
        given = os.environ.get("NBUFFER_DEVICE") or otherwise
        return [name.strip() for name in given.split(",")]
    return [given] if isinstance(given, str) else list(given)


def engine(given: str | None = None) -> tuple[str, Path | None]:
    """The engine given, else that of `NBUFFER_ENGINE`, and the library it loads."""
    name = given or os.environ.get("NBUFFER_ENGINE") or "rten"
    return name, onnxruntime_library() if name == "ort" else None


def onnxruntime_library() -> Path | None:
    """The library that the package onnxruntime brought along, unless `ORT_DYLIB_PATH` names another.

    The package is not imported for it.
    """
    if os.environ.get("ORT_DYLIB_PATH"):
        return None
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        # Its providers are libraries too, of names of their own.
        for library in Path(folder, "capi").glob("libonnxruntime.*"):
            return library
    return None
