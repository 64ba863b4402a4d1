"""The command `nbuffer`, also `python -m nbuffer`."""

import os
import signal
import sys

from nbuffer import _defaults, _native


def main() -> int:
    library = _defaults.onnxruntime_library()
    if library is not None:
        os.environ["ORT_DYLIB_PATH"] = str(library)
    # Ctrl-C is the command line's to handle: Python's own handler would wait for it to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.main(["nbuffer", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
