#!/usr/bin/env python3
"""Builds the graphs of the conformance suite beside this file: pip install onnx==1.23.2.

power is x to the power 7 by repeated multiplication, saxpy 2.5 x + y, copy the identity; 256 float32 an item, the
batch left open.
"""

import pathlib

from onnx import TensorProto, checker, helper, save

HERE = pathlib.Path(__file__).resolve().parent


def build(name, inputs, nodes, constants=()):
    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 256])

    graph = helper.make_graph(nodes, name, [tensor(i) for i in inputs], [tensor("out")], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    save(model, HERE / f"{name}.onnx")


products = ["x"] + [f"x{k}" for k in range(2, 7)] + ["out"]
build("power", ["x"], [helper.make_node("Mul", [a, "x"], [b]) for a, b in zip(products, products[1:])])
factor = helper.make_tensor("factor", TensorProto.FLOAT, [], [2.5])
product = helper.make_node("Mul", ["factor", "x"], ["product"])
build("saxpy", ["x", "y"], [product, helper.make_node("Add", ["product", "y"], ["out"])], [factor])
build("copy", ["x"], [helper.make_node("Identity", ["x"], ["out"])])
