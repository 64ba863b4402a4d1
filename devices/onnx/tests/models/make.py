"""Makes the small graphs of the engine tests: `python make.py` beside them, with onnx 1.23 installed."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

HERE = Path(__file__).parent
FLOAT, INT8, UINT8 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8
INT32, INT64, DOUBLE = TensorProto.INT32, TensorProto.INT64, TensorProto.DOUBLE


def save(name, nodes, inputs, outputs, constants=(), check=True, domains=()):
    """Writes `name`.onnx; an edge is (name, element type, dimensions), a constant (name, type, dims, values)."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(*edge) for edge in inputs],
        [helper.make_tensor_value_info(*edge) for edge in outputs],
        [helper.make_tensor(*constant) for constant in constants],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="nbuffer")
    if check:
        onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def add(name, dtype):
    edges = [("a", dtype, [4]), ("b", dtype, [4])]
    save(name, [helper.make_node("Add", ["a", "b"], ["sum"])], edges, [("sum", dtype, [4])])


def requantize(name, dtype, zero_in, zero_out):
    """From scale 0.25 to scale 0.5: odd steps fall on ties, and one end saturates."""
    save(
        name,
        [
            helper.make_node("DequantizeLinear", ["q", "scale_in", "zero_in"], ["x"]),
            helper.make_node("QuantizeLinear", ["x", "scale_out", "zero_out"], ["r"]),
        ],
        [("q", dtype, [1, 2, 4])],
        [("r", dtype, [1, 2, 4])],
        [
            ("scale_in", FLOAT, [], [0.25]),
            ("zero_in", dtype, [], [zero_in]),
            ("scale_out", FLOAT, [], [0.5]),
            ("zero_out", dtype, [], [zero_out]),
        ],
    )


add("add_f32", FLOAT)
add("add_i32", INT32)
add("add_i64", INT64)
add("add_f64", DOUBLE)
requantize("requantize_i8", INT8, 3, -71)
requantize("requantize_u8", UINT8, 131, 231)

save(
    "open_batch",
    [helper.make_node("Mul", ["x", "weights"], ["y"])],
    [("x", FLOAT, ["batch", 3])],
    [("y", FLOAT, ["batch", 3])],
    [("weights", FLOAT, [3], [1.0, 10.0, 100.0])],
)
save(
    "two_outputs",
    [helper.make_node("Neg", ["x"], ["negative"]), helper.make_node("Cast", ["x"], ["whole"], to=INT32)],
    [("x", FLOAT, [3])],
    [("whole", INT32, [3]), ("negative", FLOAT, [3])],
)
# Its output is twice as long as its input, which no session can know before it runs.
save(
    "longer_than_declared",
    [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
    [("x", FLOAT, ["n"])],
    [("y", FLOAT, ["m"])],
)
save(
    "unknown_operator",
    [helper.make_node("Nonsense", ["x"], ["y"], domain="org.example")],
    [("x", FLOAT, [3])],
    [("y", FLOAT, [3])],
    check=False,
    domains=["org.example"],
)
# The QOperator format: the quantised operator itself, instead of one between DequantizeLinear and QuantizeLinear.
save(
    "qlinear_pool_u8",
    [helper.make_node("QLinearGlobalAveragePool", ["x", "s", "z", "s", "z"], ["y"], domain="com.microsoft")],
    [("x", UINT8, [1, 2, 2, 2])],
    [("y", UINT8, [1, 2, 1, 1])],
    [("s", FLOAT, [], [0.5]), ("z", UINT8, [], [3])],
    check=False,
    domains=["com.microsoft"],
)
