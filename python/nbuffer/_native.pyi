"""What the native module holds. Users import from `nbuffer`."""

import os
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from nbuffer.devices import DeviceInfo, ModelProperties

__version__: str

def main(argv: Sequence[str]) -> int: ...
def alive() -> dict[str, int]:
    """How many objects of this process hold something, by class name, and how many streams run: for finding leaks."""

# Tensors

@final
class TensorInfo:
    """What a tensor is: padded shape, element type (int8 unless given), name, padding and quantisation.

    `padding` is `(before, after)` for each dimension, counted in `shape`. A real number `x` is stored as `x / scale + zero_point`.
    """

    def __new__(
        cls,
        shape: Sequence[int],
        dtype: npt.DTypeLike | None = None,
        name: str = "",
        padding: Sequence[tuple[int, int]] | None = None,
        scale: float = 1.0,
        zero_point: int = 0,
    ) -> Self: ...
    @property
    def shape(self) -> tuple[int, ...]:
        """The padded shape."""
    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
    @property
    def name(self) -> str:
        """The name; may be empty."""
    @property
    def padding(self) -> list[tuple[int, int]]:
        """`(before, after)` for each dimension."""
    @property
    def scale(self) -> float:
        """The real-number step between two neighbouring integers."""
    @property
    def zero_point(self) -> int:
        """The integer that stands for 0.0; may lie outside int8."""
    @property
    def size(self) -> int:
        """Bytes of the padded tensor."""
    @property
    def unpadded_shape(self) -> tuple[int, ...]:
        """The shape of the data without its padding."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(
        self,
    ) -> tuple[tuple[int, ...], np.dtype[Any], str, list[tuple[int, int]], float, int]: ...

def quantize(
    x: npt.NDArray[np.float32], info: TensorInfo, *, out: npt.NDArray[np.int8] | None = None
) -> npt.NDArray[np.int8]:
    """Quantises reals: `clip(round(x / scale + zero_point), -128, 127)`, ties to even. Without padding."""

def pad(
    q: npt.NDArray[np.int8], info: TensorInfo, *, out: npt.NDArray[np.int8] | None = None
) -> npt.NDArray[np.int8]:
    """Puts integers into a padded tensor, whose padding becomes the zero point, clamped to int8."""

def quantize_pad(
    x: npt.NDArray[np.float32], info: TensorInfo, *, out: npt.NDArray[np.int8] | None = None
) -> npt.NDArray[np.int8]:
    """`quantize` and `pad` in one pass over memory."""

def depad(
    q: npt.NDArray[np.int8], info: TensorInfo, *, out: npt.NDArray[np.int8] | None = None
) -> npt.NDArray[np.int8]:
    """Takes the data out of a padded tensor."""

def dequantize(
    q: npt.NDArray[np.int8], info: TensorInfo, *, out: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Turns integers back into reals: `(q - zero_point) * scale`. Without padding."""

def depad_dequantize(
    q: npt.NDArray[np.int8], info: TensorInfo, *, out: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """`depad` and `dequantize` in one pass over memory."""

# The objects of a vendor's runtime

class Object:
    """What all objects are: owned by a Context, released by hand or with their owner."""

    @property
    def context(self) -> Context:
        """The Context that owns it; a Context's is itself."""

    def release(self) -> None:
        """Releases it and all it owns. Waits for a run that is active; does nothing the second time."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None: ...

class Context(Object):
    """Owner of devices, Connections and Models; released with the last object of it at the latest.

    `devices` are names such as `"cpu"` or `"sim:metis"`; by default those of `NBUFFER_DEVICE`, separated by commas, else `cpu`. A
    name that occurs twice is two devices. `engine`, `"rten"` or `"ort"`, computes values where a device is simulated or is this
    machine; by default that of `NBUFFER_ENGINE`, else `rten`. With `among_processes` cores are reserved against other
    processes too. With `poison` the first two results of a double-buffered instance are 0xa5 in every byte, not the zero point.
    """

    def __new__(
        cls,
        devices: str | Sequence[str] | None = None,
        *,
        engine: str | None = None,
        among_processes: bool = False,
        poison: bool = False,
    ) -> Self: ...
    def list_devices(self) -> list[DeviceInfo]:
        """The devices, and who uses them now."""
    def device_connect(
        self,
        device: int | str | DeviceInfo | None = None,
        num_sub_devices: int = 1,
        **kwargs: int | bool | str,
    ) -> Connection:
        """Reserves `num_sub_devices` cores of a device until the Connection is released.

        `device` is a place in `list_devices`, a name, a `DeviceInfo`, or `None` for the first device with enough free cores. Raises
        `InvalidArgument` for more cores than it has, and `DeviceInUse` for more than are free.
        """
    def load_model(self, path: str | os.PathLike[str]) -> Model:
        """Reads a model: a `model.json`, its folder, or a plain `.onnx` file."""
    def configure_device(
        self, device: int | str | DeviceInfo | None, **kwargs: int | bool | str
    ) -> bool:
        """Configures a device by the vendor's keys. True when that is complete, as it always is here; the values are checked and
        kept, and change no device's speed.
        """
    def device_ready(self, device: int | str | DeviceInfo | None) -> bool:
        """Whether a device is ready."""
    def read_device_configuration(
        self, device: int | str | DeviceInfo | None
    ) -> dict[str, str]:
        """The configuration of a device, by the vendor's keys."""

@final
class Connection(Object):
    """Cores of one device that nobody else has until this is released."""

    def load_model_instance(self, model: Model, **kwargs: int | bool | str) -> ModelInstance:
        """Puts a model on the device, on as many cores of the Connection as its batch takes. Several instances share them.

        Keywords are the vendor's properties. `double_buffer=True` overlaps transfer and compute: call k then writes the result of
        call k - 2. `num_sub_devices` and `aipu_cores` are checked and change nothing. What this device cannot do, such as
        `input_dmabuf`, raises `NotImplemented`; a keyword that is unknown raises `InvalidArgument`.
        """

@final
class Model(Object):
    """A model in host memory."""

    def inputs(self) -> list[TensorInfo]:
        """Its inputs, in the order of `ModelInstance.run`."""
    def outputs(self) -> list[TensorInfo]:
        """Its outputs, in the order of `ModelInstance.run`."""
    @property
    def properties(self) -> ModelProperties:
        """`preamble_graph`, `postamble_graph` and `input_tensor_layout`, as keys and as attributes."""

@final
class ModelInstance(Object):
    """A model on cores of its own. One thread at a time may run it."""

    def run(
        self,
        inputs: list[npt.NDArray[Any]] | tuple[npt.NDArray[Any], ...],
        outputs: list[npt.NDArray[Any]] | tuple[npt.NDArray[Any], ...],
    ) -> None:
        """One call: reads `inputs`, blocks until the device is done, and writes `outputs`. Other threads go on meanwhile.

        An array for each tensor, in the model's order: C-contiguous, of the tensor's element type and, in bytes, of the padded
        tensor's size; shapes are not looked at. Each byte is copied once on its way: inputs into memory that the device reaches,
        before anything else happens, so that they are the caller's again when this returns; outputs from there into `outputs`.
        With double buffering `outputs` get the result of two calls before, and in the first two calls the zero point.

        Raises `InvalidArgument` for arrays that do not fit, and `Error` when the call fails, when another thread is in it, or when the
        instance has been released. `outputs` are as they were then, and the next call goes on as if this one had not been made.
        """

    def inputs(self) -> list[TensorInfo]:
        """Inputs of one call."""
    def outputs(self) -> list[TensorInfo]:
        """Outputs of one call."""
    @property
    def lag(self) -> int:
        """By how many calls results come late: 0, or 2 with double buffering."""

# Pipelines

# (number, item, token, value, None), or in place of a value (step, why, what a callback raised).
_Result = tuple[int, Any, Any, Any, tuple[str, str, BaseException | None] | None]

@final
class Pipeline:
    def __new__(cls, options: object, preprocess: tuple[str, Any], postprocess: Callable[..., Any] | None) -> Pipeline: ...
    def inputs(self) -> list[tuple[str, str, list[int], list[tuple[int, int]], float, int]]: ...
    def outputs(self) -> list[tuple[str, str, list[int], list[tuple[int, int]], float, int]]: ...
    def batch(self) -> int: ...
    def run(self, items: Iterable[Any]) -> Running: ...
    def live(self, places: int, overload: str) -> Running: ...

@final
class Running:
    def next(self) -> _Result | None: ...
    def source_error(self) -> BaseException | None: ...
    def cut_short(self) -> str | None: ...
    def submit(self, item: Any, token: Any, timeout_s: float | None) -> Any: ...
    def finish(self) -> None: ...
    def cancel(self) -> None: ...
    def offered(self) -> tuple[int, int, int] | None: ...
    def report(self) -> Report | None: ...
    def close(self) -> None: ...

@final
class Report:
    def json(self) -> str: ...
    def text(self) -> str: ...
    def timeline(self, width: int) -> str: ...
    def svg(self) -> str: ...
    def page(self) -> str: ...
    def spans(self) -> list[tuple[int, str, str, int, int, int]]: ...

def plan(flags: list[str]) -> str: ...
def simulate(flags: list[str]) -> Report: ...
