"""The network as an ONNX graph, laid out like a Metis model: int8, padded NHWC edges.

The padding of the input contains the first convolution's own, rows are filled up to 16 pixels and channels
to 4; classes are filled up to 64 channels.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BATCHES = (1, 4)
INPUT_PADDING = [(0, 0), (1, 1), (1, 7), (0, 1)]  # (before, after) of N, H, W, C around (n, 8, 8, 3)
N_CHANNELS_OUT = 64


WINDOW = 10  # Columns that some window of the first convolution reads: 8 and its padding.


def planes(images):
    """Padded NHWC to what the first convolution reads, NCHW."""
    return images[:, :, :WINDOW].transpose(0, 3, 1, 2)


def float_graph(weights, batch):
    """(batch, 4, 10, 10) reals to (batch, 64, 1, 1) scores."""
    # Padded channels meet weights of zero, padded classes get a score of zero.
    w1 = np.pad(weights["w1"], [(0, 0), (0, 1), (0, 0), (0, 0)])
    n_padded = N_CHANNELS_OUT - len(weights["w3"])
    w3 = np.pad(weights["w3"], [(0, n_padded), (0, 0), (0, 0), (0, 0)])
    b3 = np.pad(weights["b3"], (0, n_padded))
    constants = {"w1": w1, "b1": weights["b1"], "w2": weights["w2"], "b2": weights["b2"], "w3": w3, "b3": b3}
    nodes = [
        helper.make_node("Conv", ["planes", "w1", "b1"], ["conv1"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("MaxPool", ["relu1"], ["pool1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pool1", "w2", "b2"], ["conv2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("Conv", ["relu2", "w3", "b3"], ["score_planes"], kernel_shape=[4, 4]),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, [batch, 4, 10, WINDOW])],
        [helper.make_tensor_value_info("score_planes", TensorProto.FLOAT, [batch, N_CHANNELS_OUT, 1, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def powers_of_two(model):
    """The quantiser's overrides that round every scale of a QDQ graph up to a power of two.

    All products and sums are then exact in float32 (they stay below 2**24 steps), so an engine that computes
    QDQ in float and one that computes in integers give the same bits, on any processor.
    """
    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    overrides = {}
    for name, scale in constants.items():
        if not name.endswith("_scale") or name.startswith("b"):  # A bias has the product of two scales.
            continue
        tensor = name.removesuffix("_scale")
        rounded = 2 ** np.ceil(np.log2(scale))
        zero_point = constants[f"{tensor}_zero_point"]
        if tensor not in ("w1", "w2", "w3"):  # Weights are symmetric; elsewhere -128 stays the lowest real number.
            zero_point = np.round((zero_point + 128.0) * scale / rounded) - 128
        overrides[tensor] = [{"scale": np.array(rounded), "zero_point": np.array(zero_point, np.int8)}]
    return overrides


def int8_graph(model):
    """Gives the QDQ form of `float_graph` the edges it has on the device: int8, NHWC, padded.

    Returns the graph, and (scale, zero point) of its input and of its output.
    """
    graph = model.graph
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_value
    first = next(n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "planes")
    last = next(n for n in graph.node if n.op_type == "DequantizeLinear" and n.output[0] == "score_planes")
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    edges = [(float(constants[node.input[1]]), int(constants[node.input[2]])) for node in (first, last)]
    nodes = [
        helper.make_node("Slice", ["image", "first", "end", "width"], ["window"]),
        helper.make_node("Transpose", ["window"], [first.output[0]], perm=[0, 3, 1, 2]),
        *(node for node in graph.node if node not in (first, last)),
        helper.make_node("Transpose", [last.input[0]], ["scores"], perm=[0, 2, 3, 1]),
    ]
    slice_constants = [("first", 0), ("end", WINDOW), ("width", 2)]
    wrapped = helper.make_graph(
        nodes,
        graph.name,
        [helper.make_tensor_value_info("image", TensorProto.INT8, [batch, 10, 16, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.INT8, [batch, 1, 1, N_CHANNELS_OUT])],
        [*graph.initializer, *(numpy_helper.from_array(np.array([v]), name) for name, v in slice_constants)],
    )
    return helper.make_model(wrapped, opset_imports=model.opset_import, ir_version=8, producer_name="nbuffer"), edges
