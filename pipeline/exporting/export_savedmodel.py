"""A SavedModel that needs no other code: decoding, preprocessing and class names are inside."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.pipeline.runtimes import runtimes

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from retinue.pipeline.runs.run import Model
    from retinue.tasks.task import Task

Tensors = dict[str, Any]


def write(run: "Model", inference: "keras.Model", function: Any, folder: Path) -> None:
    """Write a SavedModel with the signatures that `export` documents.

    All of them call `function`, so the graph of the model is traced and stored once.

    Args:
        run: the run.
        inference: what `Task.inference` returned.
        function: `inference`, traced by `tensorflow_runtime.trace`.
        folder: where it is written.
    """
    import tensorflow as tf

    task, module = run.task, tf.Module()
    padding = task.padding(training=False)
    names = tf.constant(list(run.classes), tf.string)
    specs = {tensor.name: tf.TensorSpec(tensor.shape[1:], tensor.dtype) for tensor in inference.inputs}
    # The SavedModel keeps a copy under assets/. Nobody can open the path of the original afterwards.
    with tempfile.TemporaryDirectory() as scratch:
        class_file = Path(scratch) / "classes.txt"
        class_file.write_text("".join(f"{name}\n" for name in run.classes), encoding="utf-8")
        module.class_names = tf.saved_model.Asset(str(class_file))
        module.weights = [variable.value for variable in inference.variables]

        def serve(inputs: Tensors) -> Tensors:
            return task.serve(function(**inputs), names)

        def serve_bytes(encoded: "tf.Tensor") -> Tensors:
            if not task.variable_size:
                return serve(_map(task.read, encoded, specs, padding))

            def serve_one(element: "tf.Tensor") -> Tensors:  # alone, since others of its batch may have other sizes
                alone = {name: value[None] for name, value in task.read(element).items()}
                return {name: value[0] for name, value in serve(alone).items()}

            traced = _function(serve_one, [tf.TensorSpec([], tf.string)]).get_concrete_function()
            output_specs = {
                name: tf.TensorSpec(out.shape, out.dtype) for name, out in traced.structured_outputs.items()
            }
            fill = {
                name: tf.cast(task.serve_padding.get(name, 0), spec.dtype)
                for name, spec in output_specs.items()
                if not spec.shape.is_fully_defined()
            }
            return _map(traced, encoded, output_specs, fill)

        def serve_images(images: "tf.Tensor") -> Tensors:
            return serve(_map(task.prepare, images, specs, padding))

        signatures = {runtimes.MODEL_SIGNATURE: function}
        array_specs = task.array_specs()
        if array_specs is not None:
            serve_arrays = tf.function(lambda **arrays: serve(task.from_arrays(arrays)), autograph=False)
            signatures["serving_default"] = serve_arrays.get_concrete_function(**array_specs)
        else:
            signatures |= {
                "serving_default": _function(serve_bytes, [tf.TensorSpec([None], tf.string, "bytes")]),
                "image": _function(serve_images, [tf.TensorSpec([None, None, None, 3], tf.uint8, "image")]),
            }
        tf.saved_model.save(module, str(folder), signatures)


def _map(
    function: Callable[[Any], Tensors],
    elements: "tf.Tensor",
    specs: Mapping[str, Any],
    padding: Mapping[str, Any] | None,
) -> Tensors:
    """Apply a function to each element, and batch the results, in TensorFlow operations.

    Args:
        function: from an element to a dict of tensors.
        elements: `[n, ...]`.
        specs: {name: `tf.TensorSpec`} of the function's results.
        padding: None, or the values that fill up, at their ends, results that differ in size. Results of names that
            are missing in it have one size.

    Returns:
        A dict of tensors `[n, ...]`.
    """
    import tensorflow as tf

    if padding is None:
        return tf.map_fn(function, elements, fn_output_signature=specs)
    count = tf.shape(elements)[0]
    empty = {
        name: tf.TensorArray(spec.dtype, count, infer_shape=False, element_shape=spec.shape, clear_after_read=False)
        for name, spec in specs.items()
    }

    def add(index: Any, arrays: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return index + 1, {name: arrays[name].write(index, value) for name, value in function(elements[index]).items()}

    _, arrays = tf.while_loop(lambda index, _: index < count, add, (0, empty), parallel_iterations=1)
    batch = {}
    for name, array in arrays.items():
        value = padding.get(name)
        sizes = tf.map_fn(lambda index, a=array: tf.shape(a.read(index)), tf.range(count))  # noqa: B023
        largest = tf.reduce_max(sizes, axis=0)

        def fill_up(index: Any, array: Any = array, largest: Any = largest, value: Any = value) -> Any:
            element = array.read(index)
            if value is None:
                return element
            missing = largest - tf.shape(element)
            return tf.pad(element, tf.stack([tf.zeros_like(missing), missing], 1), constant_values=value)

        batch[name] = tf.map_fn(fill_up, tf.range(count), fn_output_signature=specs[name])
    return batch


def _function(function: Callable[..., Tensors], signature: "list[tf.TensorSpec]") -> Any:
    """Make a `tf.function` whose Python code is not rewritten by AutoGraph, which takes seconds for a model."""
    import tensorflow as tf

    return tf.function(function, input_signature=signature, autograph=False)


def serve_batches(
    folder: Path, task: "Task", paths: Sequence[Sequence[str]], batches: Sequence[dict[str, np.ndarray]]
) -> list[dict[str, np.ndarray]]:
    """Call the signature `serving_default` of a SavedModel.

    Args:
        folder: the SavedModel.
        task: the task.
        paths: the files of each batch.
        batches: what `Task.read_record` returned for them, batched. It is served instead of the files by tasks with
            `Task.array_specs`.

    Returns:
        A dict of arrays for each batch.
    """
    import tensorflow as tf

    from retinue.data.decoding.decode import read_encoded_bytes

    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    results = []
    for files, batch in zip(paths, batches, strict=True):
        if task.array_specs() is not None:
            inputs = {name: tf.constant(array) for name, array in task.to_arrays(batch).items()}
        else:
            pixel_range = task.config.data.pixel_range
            inputs = {"bytes": tf.constant([read_encoded_bytes(str(file), pixel_range) for file in files])}
        results.append({name: value.numpy() for name, value in serve(**inputs).items()})
    return results
