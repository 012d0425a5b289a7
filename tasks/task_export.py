"""What a task supplies for exported models (signatures, verification, quantization) and for checks of devices.

Every method has a default, which fits tasks that take one image of a fixed size.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


class TaskExport:
    """The part of `Task` that exports and checks of devices use.

    Attributes:
        serve_padding: fill values for those outputs of `serve` that differ in size within a batch, by name. An output
            that is not listed is filled up with zeros.
        quantize_layers_only: whether int8 is for convolutions and matrix products alone, because what lies between
            them is arithmetic on boxes or the like.
        quantize_excluded_patterns: regular expressions for names of operations that int8 leaves out then.
        device_check_settings: `key=value` of the small model that `retinue doctor --gpu` trains.
    """

    serve_padding: Mapping[str, int] = {}
    quantize_layers_only: bool = False
    quantize_excluded_patterns: Sequence[str] = ()
    device_check_settings: Sequence[str] = ("model.input_size=64",)

    def serve(self, outputs: "Mapping[str, tf.Tensor]", names: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Convert outputs to what an exported model returns, in TensorFlow operations.

        Args:
            outputs: a batch of `inference`'s outputs.
            names: string `[classes]`, the class names.

        Returns:
            A dict of tensors whose first axis is the batch. By default the outputs.
        """
        return dict(outputs)

    def array_specs(self) -> "dict[str, tf.TensorSpec] | None":
        """Describe the arrays that an exported model takes, where a record is no single image.

        Returns:
            The shapes and dtypes by name, `[n, ...]`; None, the default, for tasks whose exported model takes encoded
            image files.
        """
        return None

    def from_arrays(self, arrays: "Mapping[str, tf.Tensor]") -> "dict[str, tf.Tensor]":
        """Convert a batch of the arrays of `array_specs` to a batch of what `read_record` returns.

        It consists of TensorFlow operations. By default nothing is converted.
        """
        return dict(arrays)

    def to_arrays(self, tensors: "Mapping[str, np.ndarray]") -> "dict[str, np.ndarray]":
        """Convert a batch of what `read_record` returns to the arrays of `array_specs`: `from_arrays` reversed."""
        return dict(tensors)

    def compare_outputs(
        self, outputs: "Mapping[str, np.ndarray]", reference: "Mapping[str, np.ndarray]", tolerance: float
    ) -> dict[str, Any]:
        """Measure how far the outputs of an exported model are from the Keras model's, to verify the export.

        Args:
            outputs: a batch of outputs of the exported model.
            reference: the Keras model's outputs for the same batch.
            tolerance: largest difference between scores that counts as rounding.

        Returns:
            A dict with

            * largest_difference: float, the largest difference between scores.
            * same: int, the number of files with the same prediction.
            * near_ties: int, the number of other files, whose prediction differs only where the Keras model itself is
              within `tolerance` of another prediction.
            * iou: float, for masks and boxes only, the mean IoU of what was predicted.

            By default all outputs are compared, and a prediction is the same when no output differs by more than
            `tolerance`.
        """
        import numpy as np

        differences = np.stack(
            [
                np.abs(np.asarray(outputs[name], np.float64) - reference[name])
                .reshape(len(reference[name]), -1)
                .max(-1)
                for name in outputs
                if name in reference
            ]
        ).max(axis=0)
        return {
            "largest_difference": float(differences.max()),
            "same": int((differences <= tolerance).sum()),
            "near_ties": 0,
        }

    def synthetic_batch(self, batch_size: int) -> tuple[Any, Any] | None:
        """Make a training batch of two classes, for `retinue doctor --gpu`, which compares the losses of two devices.

        Args:
            batch_size: number of examples.

        Returns:
            (inputs, targets) as NumPy arrays, the same at each call; None, the default, where a device is not compared.
        """
        return None
