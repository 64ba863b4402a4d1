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
    """How many objects of this process hold something, by class name: for finding leaks."""

# Tensors

@final
class TensorInfo:
    """What a tensor is: padded shape, element type, name, padding and quantisation."""

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
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def name(self) -> str: ...
    @property
    def padding(self) -> list[tuple[int, int]]: ...
    @property
    def scale(self) -> float: ...
    @property
    def zero_point(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def unpadded_shape(self) -> tuple[int, ...]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(
        self,
    ) -> tuple[tuple[int, ...], np.dtype[Any], str, list[tuple[int, int]], float, int]: ...

def quantize(
    x: npt.NDArray[np.float32], info: TensorInfo, *, out: npt.NDArray[np.int8] | None = None
) -> npt.NDArray[np.int8]:
    """Quantises reals, without padding."""

def pad(
    q: npt.NDArray[np.int8], info: TensorInfo, *, out: npt.NDArray[np.int8] | None = None
) -> npt.NDArray[np.int8]:
    """Puts integers into a padded tensor."""

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
    """Turns integers back into reals, without padding."""

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
    """Owner of devices, Connections and Models."""

    def __new__(
        cls,
        devices: str | Sequence[str] | None = None,
        *,
        engine: str | None = None,
        among_processes: bool = False,
        poison: bool = False,
    ) -> Self: ...
    def list_devices(self) -> list[DeviceInfo]: ...
    def device_connect(
        self,
        device: int | str | DeviceInfo | None = None,
        num_sub_devices: int = 1,
        **kwargs: int | bool | str,
    ) -> Connection: ...
    def load_model(self, path: str | os.PathLike[str]) -> Model: ...
    def configure_device(
        self, device: int | str | DeviceInfo | None, **kwargs: int | bool | str
    ) -> bool: ...
    def device_ready(self, device: int | str | DeviceInfo | None) -> bool: ...
    def read_device_configuration(
        self, device: int | str | DeviceInfo | None
    ) -> dict[str, str]: ...

@final
class Connection(Object):
    """Cores of one device that nobody else has until this is released."""

    def load_model_instance(self, model: Model, **kwargs: int | bool | str) -> ModelInstance: ...

@final
class Model(Object):
    """A model in host memory."""

    def inputs(self) -> list[TensorInfo]: ...
    def outputs(self) -> list[TensorInfo]: ...
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
        """One call: reads `inputs`, blocks until the device is done, and writes `outputs`."""

    def inputs(self) -> list[TensorInfo]: ...
    def outputs(self) -> list[TensorInfo]: ...
    @property
    def lag(self) -> int: ...

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
