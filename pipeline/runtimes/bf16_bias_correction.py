"""Bias correction for bfloat16: the mean shift that rounding the weights causes is taken back in the biases.

A weight in bfloat16 has 8 bits of precision. The rounding errors of the weights of a channel, multiplied by the mean of
its inputs, shift its feature map by a constant that is the same for every image and position, and these shifts add up
from layer to layer (Finkelstein et al. 2019, arXiv 1906.03193; Nagel et al. 2019, arXiv 1906.04721, section 4.2). The
means are measured on a few training images.

It keeps AP of the demo's detector at 19.19% (18.57% without it, 19.18% in float32), and mean IoU of the demo's
segmentation at 92.27% (91.80% without it, 92.34% in float32). Classifiers do not need it.
"""

import dataclasses
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.data.storage.atomic_files import atomic_path
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.run import Model

if TYPE_CHECKING:
    from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

FILE = "bf16.npz"
NUM_IMAGES = 12  # four gave the same score to a hundredth of a point
KINDS = ("Convolution", "GroupConvolution", "MatMul")
CHUNK = 1 << 22  # weights that are rounded at a time
MIN_FILES = 50  # on fewer, half a point can't be distinguished from chance
MAX_SCORE_DROP = 0.005
TOLERANCE = 1e-4  # relative difference of the sums of the weights of one layer after two conversions


@dataclasses.dataclass(frozen=True)
class Layer:
    """A linear layer, identified by its weights and not by its name, since each conversion gives new names.

    Attributes:
        shape: the shape of the weights.
        magnitude: the sum of the absolute values of the weights.
        means: float32 `[channels]`, the mean of the inputs of each channel.
    """

    shape: tuple[int, ...]
    magnitude: float
    means: np.ndarray

    @property
    def key(self) -> "Key":
        """What identifies the layer."""
        return self.shape, self.magnitude


Key = tuple[tuple[int, ...], float]


def correct(converted: Any, model: Model) -> None:
    """Correct the biases of a converted model in place.

    The means lie in the folder of the model, or are measured on the training files of the run and kept there. If
    neither is possible, a warning says so.

    Args:
        converted: the `openvino.Model` of `model`.
        model: the run or export.
    """
    layers = load_or_measure(model, converted)
    if not layers:
        logger.warning(
            "%s: bf16 bias correction skipped: the training files needed for calibration were not found",
            model.folder,
        )
        return
    _correct_biases(converted, layers)


def precision_for(proven: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the precision that a proof justifies, and the reason, to be appended to a line.

    Args:
        proven: the result of `bf16_proof.prove`, or None.
    """
    if not proven:
        return "f32", "; f32, in which the score was computed"
    words = "{score} {f32:.2%} in f32, {bf16:.2%} in bf16, on {files:,} files".format(**proven)
    if proven["bf16"] < proven["f32"] - MAX_SCORE_DROP:
        return "f32", f"; f32: {words}"
    return ("bf16", f"; {words}") if is_native() else ("f32", "; f32, since the processor has no bf16")


def is_native() -> bool:
    """Return whether the processor computes in bfloat16 itself. Otherwise it would not be faster."""
    from retinue.pipeline.runtimes.openvino_runtime import import_openvino

    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def load_or_measure(model: Model, converted: Any) -> list[Layer]:
    """Return the layers of a run or an export with their means; an empty list if they can't be measured.

    Args:
        model: the run or export.
        converted: its `openvino.Model`, which is not changed.
    """
    path = model.folder / FILE
    if path.is_file():
        kept = _read(path)
        keys = [_key(weights) for _, weights in _linear_layers(converted)]
        if all(any(_is_same(layer.key, key) for layer in kept) for key in keys):
            return kept  # otherwise it belongs to weights that were trained further
    records = run_records.sample_records(model, "train", NUM_IMAGES) if model.kind == "run" else []
    if not records:
        return []
    layers = measure(converted, model.task, [run_records.read_record(model.task, record) for record in records])
    if os.access(model.folder, os.W_OK):
        write(path, layers)
    return layers


def measure(converted: Any, task: "Task", inputs: Sequence[Mapping[str, Any]]) -> list[Layer]:
    """Return the layers of a converted model with the means of their inputs.

    Args:
        converted: the `openvino.Model`, which is not changed.
        task: the task.
        inputs: what `task.read_record` returns for each image.
    """
    from openvino import Core, opset13

    probe = converted.clone()
    outputs, linear = len(probe.outputs), list(_linear_layers(probe))
    for node, _ in linear:
        source = node.input_value(0)
        channels = 1 if node.get_type_name() != "MatMul" else source.get_partial_shape().rank.get_length() - 1
        axes = [axis for axis in range(source.get_partial_shape().rank.get_length()) if axis != channels]
        probe.add_outputs(opset13.reduce_mean(source, np.array(axes, np.int64), False).output(0))
    compiled = Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    totals: list[Any] = [0.0] * len(linear)
    calls = 0

    def run(batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
        nonlocal calls
        found = compiled({name: np.asarray(value) for name, value in batch.items()})
        for index in range(len(linear)):
            totals[index] = totals[index] + np.array(found[outputs + index])
        calls += 1
        return {output.get_any_name(): found[index] for index, output in enumerate(compiled.outputs[:outputs])}

    wrapped = task.wrap_inference(run)
    for one in inputs:
        wrapped({name: value[None] for name, value in one.items()})
    keys = [_key(weights) for _, weights in linear]
    return [Layer(*key, np.asarray(total / calls, np.float32)) for key, total in zip(keys, totals, strict=True)]


def write(path: Path, layers: Sequence[Layer]) -> None:
    """Write layers to a file."""
    arrays: dict[str, Any] = {f"means_{index:04d}": layer.means for index, layer in enumerate(layers)}
    arrays["magnitudes"] = np.array([layer.magnitude for layer in layers])
    shapes = np.zeros((len(layers), max((len(layer.shape) for layer in layers), default=0)), np.int64)
    for row, layer in zip(shapes, layers, strict=True):
        row[: len(layer.shape)] = layer.shape
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, shapes=shapes, **arrays)


def _read(path: Path) -> list[Layer]:
    with np.load(path) as arrays:
        rows = zip(arrays["shapes"], arrays["magnitudes"], strict=True)
        return [
            Layer(tuple(int(side) for side in shape if side), float(magnitude), arrays[f"means_{index:04d}"])
            for index, (shape, magnitude) in enumerate(rows)
        ]


def _correct_biases(converted: Any, layers: Sequence[Layer]) -> None:
    """Correct the biases in place. A layer that the model uses several times has an entry for each use, in order."""
    from openvino import opset13

    linear = list(_linear_layers(converted))
    keys = [_key(weights) for _, weights in linear]
    for index, (node, weights) in enumerate(linear):
        own = [layer.means for layer in layers if _is_same(layer.key, keys[index])]
        before = [_is_same(key, keys[index]) for key in keys]
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


def shift_of(kind: str, weights: np.ndarray, means: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Return the mean shift of the outputs of a layer by rounding its weights, float32 `[channels out]`.

    Args:
        kind: the kind of the layer, one of `KINDS`.
        weights: `[out, in, h, w]`; with groups `[groups, out, in, h, w]`; of a matrix `[in, out]`, or `[out, in]` if it
            is transposed.
        means: float32 `[in]`, with groups `[groups * in]`: the mean of the inputs of each channel.
        transposed: whether a matrix is transposed.
    """
    if kind == "MatMul":
        rows = (weights if transposed else weights.T)[..., None]
    else:
        rows = weights.reshape(-1, weights.shape[-3], weights.shape[-2] * weights.shape[-1])
    groups = weights.shape[0] if kind == "GroupConvolution" else 1
    means = np.repeat(means.reshape(groups, -1), len(rows) // groups, axis=0)
    step = max(1, CHUNK // max(1, rows[0].size))
    parts = []
    for first in range(0, len(rows), step):
        part = np.ascontiguousarray(rows[first : first + step])
        change = (round_to_bfloat16(part) - part).sum(axis=2, dtype=np.float64)
        parts.append((change * means[first : first + step]).sum(axis=1))
    return np.concatenate(parts).astype(np.float32)


def round_to_bfloat16(weights: np.ndarray) -> np.ndarray:
    """Return float32 numbers rounded to the nearest bfloat16 (of two, the even one), as float32."""
    bits = np.ascontiguousarray(weights, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _linear_layers(converted: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield (node, weights) of each layer whose weights are constant."""
    for node in converted.get_ordered_ops():
        if node.get_type_name() in KINDS:
            source = node.input_value(1).get_node()
            if source.get_type_name() == "Constant" and (
                node.get_type_name() != "MatMul" or source.get_data().ndim == 2
            ):
                yield node, np.asarray(source.get_data(), np.float32)


def _bias_of(node: Any, channels: int) -> Any:
    """Return the bias input of the addition that follows a layer, or None."""
    consumers = list(node.output(0).get_target_inputs())
    if len(consumers) == 1 and consumers[0].get_node().get_type_name() == "Add":
        for entry in consumers[0].get_node().inputs():
            source = entry.get_source_output().get_node()
            if source.get_type_name() == "Constant" and source.get_data().size == channels:
                return entry
    return None


def _key(weights: np.ndarray) -> Key:
    """Return what identifies a layer."""
    return weights.shape, float(np.abs(weights).sum(dtype=np.float64))


def _is_same(one: Key, other: Key) -> bool:
    return one[0] == other[0] and math.isclose(one[1], other[1], rel_tol=TOLERANCE)
