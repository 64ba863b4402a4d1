"""What `engines.py` runs: a quantised convnet with random weights, and photo-like JPEGs, both made from a seed."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SIDE, CLASSES = 224, 1000
MEAN, STD = 0.45, 0.25


class Network:
    """A residual network as a graph in the making: convolutions with their batch norm folded in."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def weight(self, name, values):
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(self, operator, inputs, name, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def convolve(self, x, channels_in, channels, kernel, stride, name):
        deviation = np.sqrt(2 / (channels_in * kernel * kernel))
        shape = (channels, channels_in, kernel, kernel)
        weight = self.weight(f"{name}.weight", self.random.normal(0, deviation, shape))
        bias = self.weight(f"{name}.bias", self.random.normal(0, 0.1, channels))
        pads = [kernel // 2] * 4
        return self.node("Conv", [x, weight, bias], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def block(self, x, channels_in, channels, stride, name):
        y = self.node("Relu", [self.convolve(x, channels_in, channels, 3, stride, f"{name}.a")], f"{name}.relu")
        y = self.convolve(y, channels, channels, 3, 1, f"{name}.b")
        if stride != 1 or channels_in != channels:
            x = self.convolve(x, channels_in, channels, 1, stride, f"{name}.skip")
        return self.node("Relu", [self.node("Add", [x, y], f"{name}.sum")], f"{name}.out")

    def model(self):
        x = self.node("Relu", [self.convolve("image", 3, 64, 7, 2, "stem")], "stem.relu")
        x = self.node("MaxPool", [x], "stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        channels_in = 64
        for stage, channels in enumerate((64, 128, 256, 512)):
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                x = self.block(x, channels_in, channels, stride, f"stage{stage}.{block}")
                channels_in = channels
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x], "pool")], "features")
        dense = self.weight("dense.weight", self.random.normal(0, 0.02, (channels_in, CLASSES)))
        bias = self.weight("dense.bias", np.zeros(CLASSES))
        self.node("Gemm", [x, dense, bias], "scores")
        edge = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "residual",
            [edge("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
            [edge("scores", TensorProto.FLOAT, [1, CLASSES])],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def photo(random, width, height):
    """Large shapes, edges and grain: what a JPEG of a photo is made of."""
    image = cv2.resize(random.uniform(0, 255, (6, 8, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        centre = tuple(int(random.integers(0, side)) for side in (width, height))
        colour = tuple(float(value) for value in random.uniform(0, 255, 3))
        cv2.circle(image, centre, int(random.integers(4, height // 6)), colour, thickness=-1)
    texture = cv2.resize(random.normal(0, 18, (height // 3, width // 3)).astype(np.float32), (width, height))
    return np.clip(image + texture[..., None], 0, 255).astype(np.uint8)


def tensor(jpeg):
    """The input of the model, by OpenCV in one go: decoded, stretched, normalised, in planes."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return cv2.dnn.blobFromImage(image, 1 / (255 * STD), (SIDE, SIDE), (255 * MEAN,) * 3, swapRB=True)


def centred(model, paths):
    """With random weights all images have nearly the same features: what they share is taken off, so that classes differ."""
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, None)
    model.graph.output.append(features)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    mean = np.mean([session.run(["features"], {"image": tensor(path.read_bytes())})[0][0] for path in paths], axis=0)
    model.graph.output.remove(features)
    weights = {weight.name: weight for weight in model.graph.initializer}
    dense = numpy_helper.to_array(weights["dense.weight"])
    weights["dense.bias"].CopyFrom(numpy_helper.from_array(-mean @ dense, "dense.bias"))
    return model


class Calibration(CalibrationDataReader):
    def __init__(self, paths):
        self.inputs = iter([{"image": tensor(path.read_bytes())} for path in paths])

    def get_next(self):
        return next(self.inputs, None)


def make(folder: Path, seed: int, n_images: int):
    """Writes `model.onnx` and a folder of images for each workload, unless they are there."""
    workloads = {"large": (1280, 960), "small": (SIDE, SIDE)}
    done = folder / f"made-{seed}-{n_images}"
    if done.exists():
        return workloads
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for name, (width, height) in workloads.items():
        (folder / name).mkdir(exist_ok=True)
        for idx in range(n_images):
            quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
            cv2.imwrite(str(folder / name / f"{idx:04}.jpg"), photo(random, width, height), quality)
    sample = sorted((folder / "small").iterdir())[:16]
    onnx.save(centred(Network(seed).model(), sample), folder / "float.onnx")
    quantize_static(
        folder / "float.onnx",
        folder / "model.onnx",
        Calibration(sample),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    done.touch()
    return workloads
