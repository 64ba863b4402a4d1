"""What devices and models tell of themselves."""

import enum
from dataclasses import dataclass


class BoardType(enum.Enum):
    """What a device is built as. Devices that are no boards are `unknown`."""

    alpha_pcie = 0
    alpha_m2 = 1
    pcie = 2
    m2 = 3
    devboard = 4
    sbc = 5
    unknown = 6


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """A device, and who uses it at the moment of asking."""

    name: str
    """The name to connect by, such as `sim:metis`; a second one like it is `sim:metis#1`."""
    subdevice_count: int
    """Cores, free or not."""
    max_memory: int
    """Memory in bytes; 0 where it has no limit of its own."""
    in_use: bool
    """Whether some of its cores are reserved."""
    in_use_by: str
    """By whom, in words; empty when nobody has one."""
    board_type: BoardType = BoardType.unknown
    firmware_version: str = ""
    board_revision: int = 0
    flashed_firmware_version: str = ""
    board_controller_firmware_version: str = ""
    board_controller_board_type: str = ""
    description: str = ""
    """One line for people. Not in the vendor's runtime."""
    double_buffer: bool = False
    """Whether instances on it can be double-buffered. Not in the vendor's runtime."""


class ModelProperties(dict[str, str]):
    """A model's properties, by key and by attribute."""

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a model has no property `{name}`; it has {', '.join(self)}") from None
