"""What a user's typed code looks like; mypy --strict reads it, nothing runs it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import nbuffer

if TYPE_CHECKING:
    from typing_extensions import assert_type


def classify(model_path: Path, images: list[npt.NDArray[np.float32]]) -> list[int]:
    classes: list[int] = []
    with nbuffer.Context("sim:metis") as context:
        model = context.load_model(model_path)
        (info,), (out_info,) = model.inputs(), model.outputs()
        assert_type(info.shape, tuple[int, ...])
        assert_type(info.dtype.itemsize, int)
        connection = context.device_connect(num_sub_devices=1)
        with connection.load_model_instance(model, double_buffer=False, aipu_cores=1) as instance:
            assert_type(instance, nbuffer.ModelInstance)
            output = np.empty(out_info.shape, np.int8)
            for image in images:
                instance.run([nbuffer.quantize_pad(image, info)], [output])
                scores = nbuffer.depad_dequantize(output, out_info)
                assert_type(scores, npt.NDArray[np.float32])
                classes.append(int(scores.argmax()))
    return classes


def devices() -> list[str]:
    try:
        with nbuffer.Context() as context:
            return [f"{device.name} {device.board_type.name}" for device in context.list_devices()]
    except nbuffer.errors.InvalidArgument as error:
        return [str(error)]


def planned(pipeline: nbuffer.Pipeline) -> float:
    nbuffer.plan(kernel="2ms")  # type: ignore[call-arg]
    nbuffer.simulate(k="2ms", overlap="never")  # type: ignore[arg-type]
    setting: nbuffer.Setting = {"k": 0.002, "buffers": "4+3"}
    assert_type(nbuffer.plan(pipeline.report, host_threads=2), nbuffer.Plan)
    return nbuffer.plan(**setting, items=100).period_s


def streamed(items: list[int]) -> None:
    drops: list[nbuffer.ItemDropped] = []
    with nbuffer.Pipeline("model", overload="drop-oldest", on_drop=drops.append) as pipeline:
        for item in items:
            pipeline.submit(item, tag=str(item)).add_done_callback(lambda future: print(future.result()))
        assert_type(pipeline.dropped, int)
    nbuffer.Pipeline("model", overload="drop")  # type: ignore[arg-type]
