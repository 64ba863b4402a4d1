"""The names of `axelera.runtime`, over nbuffer's devices."""

import os

import nbuffer
from nbuffer import BoardType, Connection, DeviceInfo, Model, ModelInstance, Object, TensorInfo, _defaults
from nbuffer.errors import (
    ConnectionError,
    DeviceInUse,
    IncompatibleDevice,
    InternalError,
    InvalidArgument,
    InvalidConfiguration,
    NotImplemented,
    Pending,
    UnknownError,
)

__all__ = [
    "BoardType",
    "Connection",
    "ConnectionError",
    "Context",
    "DeviceInUse",
    "DeviceInfo",
    "IncompatibleDevice",
    "InternalError",
    "InvalidArgument",
    "InvalidConfiguration",
    "Model",
    "ModelInstance",
    "NotImplemented",
    "Object",
    "Pending",
    "TensorInfo",
    "UnknownError",
]


class Context(nbuffer.Context):
    """The root of all objects. Its devices are those of `NBUFFER_DEVICE`, or `sim:metis`.

    Cores are reserved against other processes too. With `NBUFFER_POISON=1` the first two results of a double-buffered
    instance are 0xa5 in every byte instead of the zero point.
    """

    def __new__(cls) -> "Context":
        return super().__new__(
            cls,
            _defaults.devices(otherwise="sim:metis"),
            among_processes=True,
            poison=os.environ.get("NBUFFER_POISON", "0") not in ("", "0"),
        )
