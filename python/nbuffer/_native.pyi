"""What the native module holds. Users import from `nbuffer`."""

__version__: str

def main(argv: list[str]) -> int: ...
