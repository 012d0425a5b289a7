"""A SavedModel that needs no other code: decoding, preprocessing and class names are inside."""

import tempfile
from pathlib import Path

from retinue.pipeline.runtimes import runtimes


def write(model, inference, folder):
    """Write a `Model` of run.py, whose `task.inference` is `inference`, into `folder`; its signatures: see `export`."""
    import tensorflow as tf

    task, module = model.task, tf.Module()
    padding = task.padding(training=False)
    names = tf.constant(list(model.classes))
    kinds = {tensor.name: tf.TensorSpec(tensor.shape[1:], tensor.dtype) for tensor in inference.inputs}
    # The copy is what the SavedModel keeps under assets/; the path is known to nobody afterwards.
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch) / "classes.txt"
        listed.write_text("".join(f"{name}\n" for name in model.classes), encoding="utf-8")
        module.class_names = tf.saved_model.Asset(str(listed))
        module.weights = [variable.value for variable in inference.variables]

        def run(inputs):
            return inference(inputs, training=False)

        def answer(inputs):
            return task.serve(run(inputs), names)

        def from_bytes(encoded):
            if not task.variable_size:
                return answer(_map(task.read, encoded, kinds, padding))

            def answer_one(element):  # by itself, since others of its batch may have other sizes
                alone = {name: value[None] for name, value in task.read(element).items()}
                return {name: value[0] for name, value in answer(alone).items()}

            traced = tf.function(answer_one).get_concrete_function(tf.TensorSpec([], tf.string))
            made = {name: tf.TensorSpec(out.shape, out.dtype) for name, out in traced.structured_outputs.items()}
            fill = {
                name: tf.cast(task.serve_padding.get(name, 0), kind.dtype)
                for name, kind in made.items()
                if not kind.shape.is_fully_defined()
            }
            return _map(answer_one, encoded, made, fill)

        def from_images(images):
            return answer(_map(task.prepare, images, kinds, padding))

        batches = {name: tf.TensorSpec([None, *kind.shape], kind.dtype, name) for name, kind in kinds.items()}
        signatures = {
            runtimes.MODEL_SIGNATURE: tf.function(lambda **inputs: run(inputs)).get_concrete_function(**batches)
        }
        if task.is_video:
            arrays = task.array_specs()
            from_arrays = tf.function(lambda **arrays: answer(task.from_arrays(arrays)))
            signatures["serving_default"] = from_arrays.get_concrete_function(**arrays)
        else:
            signatures |= {
                "serving_default": _signature(from_bytes, tf.TensorSpec([None], tf.string, "bytes")),
                "image": _signature(from_images, tf.TensorSpec([None, None, None, 3], tf.uint8, "image")),
            }
        tf.saved_model.save(module, str(folder), signatures)


def _map(function, elements, kinds, padding):
    """`function` of each element, as one batch, in TensorFlow operations.

    kinds: {name: `tf.TensorSpec`} of its results; padding: None, or {name: value} with which those that differ in size
    are filled up at their ends to the largest; a name that is missing there is of one size.
    """
    import tensorflow as tf

    if padding is None:
        return tf.map_fn(function, elements, fn_output_signature=kinds)
    count = tf.shape(elements)[0]
    empty = {
        name: tf.TensorArray(kind.dtype, count, infer_shape=False, element_shape=kind.shape, clear_after_read=False)
        for name, kind in kinds.items()
    }

    def add(index, arrays):
        return index + 1, {name: arrays[name].write(index, value) for name, value in function(elements[index]).items()}

    _, arrays = tf.while_loop(lambda index, _: index < count, add, (0, empty), parallel_iterations=1)
    batch = {}
    for name, array in arrays.items():
        value = padding.get(name)
        sizes = tf.map_fn(lambda index, a=array: tf.shape(a.read(index)), tf.range(count))  # noqa: B023
        largest = tf.reduce_max(sizes, axis=0)

        def filled(index, array=array, largest=largest, value=value):
            element = array.read(index)
            if value is None:
                return element
            missing = largest - tf.shape(element)
            return tf.pad(element, tf.stack([tf.zeros_like(missing), missing], 1), constant_values=value)

        kind = kinds[name]
        batch[name] = tf.map_fn(filled, tf.range(count), fn_output_signature=kind)
    return batch


def _signature(function, spec):
    import tensorflow as tf

    return tf.function(function, input_signature=[spec])


def answers(folder, task, files, batches):
    """What the signature `serving_default` of a SavedModel says: a list of dicts of arrays, one a batch.

    files: a list of paths for each batch; batches: what `task.read_record` gives of them, batched, which clips are
    asked with.
    """
    import tensorflow as tf

    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    given = []
    for paths, batch in zip(files, batches, strict=True):
        if task.is_video:
            asked = {name: tf.constant(part) for name, part in task.to_arrays(batch).items()}
        else:
            asked = {"bytes": tf.constant([_bytes(path) for path in paths])}
        given.append({name: value.numpy() for name, value in serve(**asked).items()})
    return given


def _bytes(file):
    from retinue.data.decoding.decode import read_encoded_bytes

    return read_encoded_bytes(str(file))
