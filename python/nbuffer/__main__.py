"""The command `nbuffer`, also `python -m nbuffer`."""

import sys

from nbuffer import _native


def main() -> int:
    return _native.main(["nbuffer", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
