"""`axelera.runtime` over nbuffer's devices, so that scripts written for the vendor's package run unchanged.

    python -m nbuffer.axelera SCRIPT ARGS...

or `nbuffer.axelera.install()` before the import. The device is `sim:metis`, or what `NBUFFER_DEVICE` names. What is
decided where the vendor's documents are silent is listed in docs/python/coming-from-axelera-runtime.md.
"""

import importlib
import logging
import sys
import types

__all__ = ["install"]


def install() -> types.ModuleType:
    """Makes `axelera.runtime` importable, and gives the module. A second call changes nothing.

    Raises `RuntimeError` when the vendor's own module has been imported already: a program has one of the two.
    """
    from nbuffer.axelera import runtime

    there = sys.modules.get("axelera.runtime")
    if there is runtime:
        return runtime
    if there is not None:
        raise RuntimeError(
            f"axelera.runtime has been imported from {there.__file__}; call nbuffer.axelera.install() before that"
        )
    try:
        # Other parts of the vendor's package stay what they are.
        package = importlib.import_module("axelera")
    except ImportError:
        package = types.ModuleType("axelera", "The vendor's name, with nbuffer's `runtime`.")
        package.__path__ = []
        sys.modules["axelera"] = package
    sys.modules["axelera.runtime"] = runtime
    setattr(package, "runtime", runtime)
    # Whoever sets up the vendor's logger hears nbuffer through it.
    logging.getLogger("nbuffer").parent = logging.getLogger("axelera.runtime")
    return runtime
