"""Bfloat16 without the shift that rounding gives a net.

A weight of bfloat16 has 8 bits. What is lost differs from weight to weight, but its sum over a channel, times what the
weights meet on the average, is the same for every picture and every place: it moves the channel's map as a whole, and
map by map these shifts add up. They are taken back in the biases (Finkelstein et al. 2019, arXiv 1906.03193; Nagel et
al. 2019, arXiv 1906.04721, section 4.2). The average is over a few pictures that the net learned from.
"""

import dataclasses
import logging
import math
import os

import numpy as np

from retinue.data.storage.atomic_files import atomic_path
from retinue.pipeline.runs import run_records

logger = logging.getLogger(__name__)

FILE = "bf16.npz"
PICTURES = 12  # four gave the same to a hundredth of a point
KINDS = ("Convolution", "GroupConvolution", "MatMul")
AT_ONCE = 1 << 22  # weights that are rounded at a time
ENOUGH = 50  # files: on fewer half a point can't be told from chance
ALLOWED = 0.005  # that the score may fall
NEAR = 1e-4  # relative difference of the sums of two layers' weights that are taken for the same


@dataclasses.dataclass(frozen=True)
class Layer:
    """A linear layer by its weights, not by its name, which each conversion gives anew.

    shape: of the weights; magnitude: the sum of their absolute values; means: float32 `[channels]`, the mean of what
    comes into each channel.
    """

    shape: tuple
    magnitude: float
    means: np.ndarray

    @property
    def mark(self):
        """See `_mark`."""
        return self.shape, self.magnitude


def correct(converted, model):
    """Take the shift out of the biases of `converted`, the `openvino.Model` of a `Model` of run.py, in place.

    What is needed lies in the folder, or is measured on the run's own training files, and kept there. Where neither can
    be had, a line says so.
    """
    layers = of_run(model, converted)
    if not layers:
        logger.warning(
            "%s: bf16 as it is: the files it was trained on, by which its rounding is evened out, are gone",
            model.folder,
        )
        return
    _correct_biases(converted, layers)


def precision_for(proven):
    """("f32" or "bf16", why, to be added to a line): what `prove` speaks for."""
    if not proven:
        return "f32", "; f32, as the score was made"
    words = "{score} {f32:.2%} in f32, {bf16:.2%} in bf16, on {files:,} held-out files".format(**proven)
    if proven["bf16"] < proven["f32"] - ALLOWED:
        return "f32", f"; f32: {words}"
    return ("bf16", f"; {words}") if is_native() else ("f32", "; f32, as the processor has no bf16")


def is_native():
    """Whether the processor computes in bfloat16 itself; else it would be no faster."""
    from retinue.pipeline.runtimes.openvino_runtime import import_openvino

    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def of_run(model, converted):
    """The list of `Layer` of a run or an export; [] where it can't be had.

    converted: its `openvino.Model`, which stays as it is.
    """
    path = model.folder / FILE
    if path.is_file():
        kept = _read(path)
        marks = [_mark(weights) for _, weights in _linear(converted)]
        if all(any(_alike(layer.mark, mark) for layer in kept) for mark in marks):
            return kept  # else it is of weights that training has left behind
    records = run_records.sample_records(model, "train", PICTURES) if model.kind == "run" else []
    if not records:
        return []
    layers = measure(converted, model.task, [run_records.read_record(model.task, record) for record in records])
    if os.access(model.folder, os.W_OK):
        write(path, layers)
    return layers


def measure(converted, task, pictures):
    """The list of `Layer` of an `openvino.Model`, which stays as it is. pictures: what `task.read_record` gives."""
    from openvino import Core, opset13

    probe = converted.clone()
    outputs, linear = len(probe.outputs), list(_linear(probe))
    for node, _ in linear:
        source = node.input_value(0)
        channels = 1 if node.get_type_name() != "MatMul" else source.get_partial_shape().rank.get_length() - 1
        axes = [axis for axis in range(source.get_partial_shape().rank.get_length()) if axis != channels]
        probe.add_outputs(opset13.reduce_mean(source, np.array(axes, np.int64), False).output(0))
    compiled = Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    totals, calls = [0.0] * len(linear), 0

    def run(inputs):
        nonlocal calls
        found = compiled({name: np.asarray(value) for name, value in inputs.items()})
        for index in range(len(linear)):
            totals[index] = totals[index] + np.array(found[outputs + index])
        calls += 1
        return {output.get_any_name(): found[index] for index, output in enumerate(compiled.outputs[:outputs])}

    run = task.wrap_inference(run)
    for picture in pictures:
        run({name: value[None] for name, value in picture.items()})
    marks = [_mark(weights) for _, weights in linear]
    return [Layer(*mark, np.float32(total / calls)) for mark, total in zip(marks, totals, strict=True)]


def write(path, layers):
    """Keep `layers` in a file."""
    arrays = {f"means_{index:04d}": layer.means for index, layer in enumerate(layers)}
    arrays["magnitudes"] = np.array([layer.magnitude for layer in layers])
    shapes = np.zeros((len(layers), max((len(layer.shape) for layer in layers), default=0)), np.int64)
    for row, layer in zip(shapes, layers, strict=True):
        row[: len(layer.shape)] = layer.shape
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, shapes=shapes, **arrays)


def _read(path):
    with np.load(path) as arrays:
        rows = zip(arrays["shapes"], arrays["magnitudes"], strict=True)
        return [
            Layer(tuple(int(side) for side in shape if side), float(magnitude), arrays[f"means_{index:04d}"])
            for index, (shape, magnitude) in enumerate(rows)
        ]


def _correct_biases(converted, layers):
    """A layer that is in the net several times, as in a pyramid, has an entry for each, in the net's order."""
    from openvino import opset13

    linear = list(_linear(converted))
    marks = [_mark(weights) for _, weights in linear]
    for index, (node, weights) in enumerate(linear):
        own = [layer.means for layer in layers if _alike(layer.mark, marks[index])]
        before = [_alike(mark, marks[index]) for mark in marks]
        if not own:
            continue
        means = own[sum(before[:index])] if sum(before) == len(own) else np.mean(own, axis=0)
        kind = node.get_type_name()
        shift = shift_of(kind, weights, means, kind == "MatMul" and node.get_attributes()["transpose_b"])
        consumers, bias = list(node.output(0).get_target_inputs()), _bias_of(node, shift.size)
        if bias is not None:
            constant = bias.get_source_output().get_node().get_data()
            bias.replace_source_output(opset13.constant(constant - shift.reshape(constant.shape)).output(0))
            continue
        shift = shift if kind == "MatMul" else shift.reshape(1, -1, 1, 1)
        less = opset13.subtract(node.output(0), opset13.constant(shift))
        for consumer in consumers:
            consumer.replace_source_output(less.output(0))


def shift_of(kind, weights, means, transposed=False):
    """How far rounding moves the outputs of a layer in the mean, float32 `[channels out]`.

    kind: of `KINDS`. weights: `[out, in, h, w]`; with groups `[groups, out, in, h, w]`; of a matrix `[in, out]`, or
    `[out, in]` where it is transposed. means: float32 `[in]`, with groups `[groups * in]`.
    """
    if kind == "MatMul":
        rows = (weights if transposed else weights.T)[..., None]
    else:
        rows = weights.reshape(-1, weights.shape[-3], weights.shape[-2] * weights.shape[-1])
    groups = weights.shape[0] if kind == "GroupConvolution" else 1
    means = np.repeat(means.reshape(groups, -1), len(rows) // groups, axis=0)
    step = max(1, AT_ONCE // max(1, rows[0].size))
    parts = []
    for first in range(0, len(rows), step):
        part = np.ascontiguousarray(rows[first : first + step])
        change = (rounded(part) - part).sum(axis=2, dtype=np.float64)
        parts.append((change * means[first : first + step]).sum(axis=1))
    return np.float32(np.concatenate(parts))


def rounded(weights):
    """float32 -> the nearest bfloat16 (of two, the even one), as float32."""
    bits = np.ascontiguousarray(weights, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _linear(converted):
    """(node, weights) of each layer whose weights are constant."""
    for node in converted.get_ordered_ops():
        if node.get_type_name() in KINDS:
            source = node.input_value(1).get_node()
            if source.get_type_name() == "Constant" and (
                node.get_type_name() != "MatMul" or source.get_data().ndim == 2
            ):
                yield node, np.float32(source.get_data())


def _bias_of(node, channels):
    """The input of the addition after a layer that is its bias, or None."""
    consumers = list(node.output(0).get_target_inputs())
    if len(consumers) == 1 and consumers[0].get_node().get_type_name() == "Add":
        for entry in consumers[0].get_node().inputs():
            source = entry.get_source_output().get_node()
            if source.get_type_name() == "Constant" and source.get_data().size == channels:
                return entry
    return None


def _mark(weights):
    """By what a layer is known."""
    return weights.shape, float(np.abs(weights).sum(dtype=np.float64))


def _alike(one, other):
    return one[0] == other[0] and math.isclose(one[1], other[1], rel_tol=NEAR)
