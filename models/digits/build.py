"""Builds models/digits: trains, quantises, lays out like a Metis model, measures, writes every file.

    python -m venv .venv && .venv/bin/pip install -r models/digits/requirements.txt
    .venv/bin/python models/digits/build.py

The same versions on the same kind of processor give the same bytes. Takes about half a minute.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # Sums in a fixed order, whatever the number of cores.

import json
import shutil
import tempfile
from pathlib import Path

import network
import numpy as np
import onnx
import onnxruntime
from graph import BATCHES, INPUT_PADDING, N_CHANNELS_OUT, float_graph, int8_graph, planes, powers_of_two
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
GRAPH = "digits_int8.onnx"
SPLIT_SEED = 20
N_CLASSES = 10

# x / 255, minus mean, over std: what the host does to an image. About the mean and deviation of the data, and
# such that no pixel value falls halfway between two steps of the input's scale, where the last bit of a
# float would decide.
MEAN, STD = [0.31] * 3, [0.4] * 3

# How long a simulated device is to take for one call. A chosen figure, well above what the arithmetic takes
# on a host's CPU, so that the simulated timing stays valid there; not a measurement of any device.
KERNEL_TIME_S = 0.001


def main():
    pixels, labels = load()
    train, held_out = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=SPLIT_SEED
    )
    write_images(pixels[held_out], labels[held_out], held_out)

    reals = normalise(pixels)
    weights = network.train(reals[train], labels[train])
    float_accuracy = np.mean(network.predict(weights, reals[held_out]) == labels[held_out])

    for batch in BATCHES:
        directory = HERE if batch == 1 else HERE / f"batch{batch}"
        directory.mkdir(exist_ok=True)
        edges, n_bytes = write_graph(directory / GRAPH, weights, reals[train], batch)
        write_descriptions(directory, batch, edges, n_bytes)

    accuracies = {
        f"batch {batch}": run_int8(batch, reals[held_out], labels[held_out]) for batch in BATCHES
    }
    write_json(
        HERE / "expected.json",
        {
            "images": {"train": len(train), "held_out": len(held_out)},
            "classes": N_CLASSES,
            "held_out_per_class": np.bincount(labels[held_out]).tolist(),
            "accuracy": {"float": round(float(float_accuracy), 6), "int8": accuracies["batch 1"]},
            "seeds": {"split": SPLIT_SEED, "training": network.SEED},
        },
    )
    assert len(set(accuracies.values())) == 1, f"the batch sizes disagree: {accuracies}"
    assert accuracies["batch 1"] >= 0.97, f"int8 accuracy {accuracies['batch 1']} is below 97 %"
    assert abs(accuracies["batch 1"] - float_accuracy) <= 0.01, "int8 is over a point away from float"


def load():
    """The images as the PNG files hold them, 0..255, and their labels."""
    digits = load_digits()
    return np.round(digits.images * 255 / 16).astype(np.uint8), digits.target


def normalise(pixels):
    """(n, 8, 8) grey pixels to (n, 3, 8, 8) reals, as the host does it."""
    grey = pixels.astype(np.float32)[:, None] / np.float32(255)
    shape = (1, 3, 1, 1)
    return (grey - np.float32(MEAN).reshape(shape)) / np.float32(STD).reshape(shape)


def pad(reals):
    """(n, 3, 8, 8) to padded NHWC; 0.0 is what the zero point stands for."""
    return np.pad(reals.transpose(0, 2, 3, 1), INPUT_PADDING)


def batches(reals, batch):
    """Cuts into whole batches; the last is filled up with the first images."""
    padded = pad(reals)
    missing = -len(padded) % batch
    return np.concatenate([padded, padded[:missing]]).reshape(-1, batch, *padded.shape[1:])


def write_images(pixels, labels, indices):
    shutil.rmtree(HERE / "images", ignore_errors=True)
    for image, label, index in zip(pixels, labels, indices):
        path = HERE / "images" / str(label) / f"{index:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, optimize=True)


class Calibration(CalibrationDataReader):
    def __init__(self, reals, batch):
        self.feeds = ({"planes": planes(feed)} for feed in batches(reals, batch))

    def get_next(self):
        return next(self.feeds, None)


def write_graph(path, weights, reals, batch):
    """Writes the int8 graph; gives (scale, zero point) of its input and output, and the size of its constants."""
    with tempfile.TemporaryDirectory() as directory:
        float_path, qdq_path = Path(directory, "float.onnx"), Path(directory, "qdq.onnx")
        onnx.save(float_graph(weights, batch), float_path)

        def quantise(overrides):
            quantize_static(
                float_path,
                qdq_path,
                Calibration(reals, batch),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                # 7-bit weights: on x86 without VNNI, sums of two 8-bit products saturate at 16 bits.
                reduce_range=True,
                extra_options={"TensorQuantOverrides": overrides},
            )
            return onnx.load(qdq_path)

        model, edges = int8_graph(quantise(powers_of_two(quantise({}))))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return edges, sum(
        onnx.numpy_helper.to_array(constant).nbytes for constant in model.graph.initializer
    )


def write_descriptions(directory, batch, edges, n_constant_bytes):
    (input_scale, input_zero), (output_scale, output_zero) = edges
    input_shape, output_shape = [batch, 10, 16, 4], [batch, 1, 1, N_CHANNELS_OUT]
    write_json(
        directory / "manifest.json",
        {
            "manifest_version": "1.0",
            "quantized_model_file": None,
            "model_lib_file": "model.json",
            "model_params_file": None,
            "preprocess_graph": None,
            "postprocess_graph": None,
            "quantize_params": [[input_scale, input_zero]],
            "dequantize_params": [[output_scale, output_zero]],
            "input_shapes": [input_shape],
            "output_shapes": [output_shape],
            "input_shapes_original": [[batch, 3, 8, 8]],
            "output_shapes_original": [[batch, N_CLASSES, 1, 1]],
            "n_padded_ch_inputs": [[length for pair in INPUT_PADDING for length in pair]],
            "n_padded_ch_outputs": [[0, 0, 0, 0, 0, 0, 0, N_CHANNELS_OUT - N_CLASSES]],
            "input_tensor_layout": "NHWC",
        },
    )
    write_json(
        directory / "model.json",
        {
            "inputs": [{"shape": input_shape}],
            "memory_pools": [{"memory": "l2", "size": n_constant_bytes}],
            "nbuffer": {
                "format": 1,
                "graph": GRAPH,
                "kernel_time_s": KERNEL_TIME_S,
                "preprocess": {"height": 8, "width": 8, "mean": MEAN, "std": STD},
                "labels": "labels.txt",
            },
        },
    )
    (directory / "labels.txt").write_text("".join(f"{label}\n" for label in range(N_CLASSES)))


def run_int8(batch, reals, labels):
    """Accuracy of the written files under ONNX Runtime, quantising as the manifest says."""
    directory = HERE if batch == 1 else HERE / f"batch{batch}"
    manifest = json.loads((directory / "manifest.json").read_text())
    [[scale, zero_point]] = manifest["quantize_params"]
    session = onnxruntime.InferenceSession(directory / GRAPH)
    classes = []
    for feed in batches(reals, batch):
        quantised = np.clip(np.round(feed / np.float32(scale) + zero_point), -128, 127).astype(np.int8)
        [scores] = session.run(None, {"image": quantised})
        classes.extend(scores[:, 0, 0, :N_CLASSES].argmax(axis=1))
    return round(float(np.mean(np.array(classes[: len(labels)]) == labels)), 6)


def write_json(path, value):
    """One line for each key of the outermost object."""
    lines = [f"  {json.dumps(key)}: {json.dumps(part)}" for key, part in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
