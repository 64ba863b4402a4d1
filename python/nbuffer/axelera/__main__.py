"""`python -m nbuffer.axelera SCRIPT ARGS...`"""

import runpy
import sys
from pathlib import Path

from nbuffer.axelera import install

_USAGE = "usage: python -m nbuffer.axelera SCRIPT ARGS...   or   python -m nbuffer.axelera -m MODULE ARGS..."


def main() -> None:
    args = sys.argv[1:]
    if args[:1] in (["-h"], ["--help"]):
        print(_USAGE)
        return
    is_module = args[:1] == ["-m"]
    if not args[is_module:]:
        print(_USAGE, file=sys.stderr)
        sys.exit(2)
    install()
    # From here on everything is as `python SCRIPT ARGS...` would have it.
    sys.argv = args[is_module:]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    script = Path(sys.argv[0])
    if not script.exists():
        print(f"nbuffer.axelera: there is no script {script}", file=sys.stderr)
        sys.exit(2)
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
