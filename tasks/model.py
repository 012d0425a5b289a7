"""`TaskModel`: the `keras.Model` of every task. It contains its losses, so `compile` needs only an optimizer."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from retinue.tasks.gradient_accumulation import accumulate_gradients
from retinue.tasks.keras_internals import WithoutSymbolicBuild
from retinue.tasks.mixed_precision import precision_scope

Loss = Callable[[Any, Any], dict[str, tf.Tensor]]


class TaskModel(WithoutSymbolicBuild, keras.Model):
    """A functional model with its losses, which knows which of its layers are the pretrained backbone.

    The graph is flat: no layer of it is a model.

    Attributes:
        backbone_layers: names of the layers that came from the backbone. All others are the head.
        streams: for a model whose streams can be trained separately, a dict from the name of a stream, which is also
            the name of its loss, to the names of its layers. Otherwise empty.
        trained_stream: the stream whose loss is minimized, or "all".
        input_wait_seconds: time that the training steps have waited for data.
        batch_size: number of examples in the full batch of all replicas. None if every replica gets equally many.
        gradient_accumulation_steps: number of micro-batches into which each replica's batch is split. Their gradients
            are added.
        precision: what training steps compute in: "float32", "mixed_float16" or "mixed_bfloat16". For float16 the
            optimizer must scale the loss. This attribute and the two before it are read when the first step after
            `compile` is traced.
        epoch_sums: the sum of each loss, by name, and the number of "examples", over all replicas in this epoch so far.
        stop_requested: set this to end training in all processes.
        stop_confirmed: after each step, whether any process has set `stop_requested`.
    """

    train_function: Callable[..., Any] | None  # set by Keras and by `make_train_function`

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        loss: Loss,
        loss_names: Iterable[str],
        backbone_layers: Iterable[str],
        name: str | None = None,
        streams: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Initialize the model.

        Args:
            inputs: as for `keras.Model`.
            outputs: as for `keras.Model`.
            loss: function (targets, outputs) -> dict from the name of a loss to float32 `[n]`, one value for each
                example. The sum of all losses, averaged over the batch, is minimized. If there are several, each is
                also logged under its name.
            loss_names: the keys of that dict.
            backbone_layers: names of the layers that came from the backbone.
            name: name of the model.
            streams: see the class.
        """
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._loss_by_name, self._loss_names = loss, tuple(loss_names)
        self.backbone_layers = frozenset(backbone_layers)
        self.streams = {stream: frozenset(layers) for stream, layers in (streams or {}).items()}
        self.trained_stream = "all"
        self.input_wait_seconds = 0.0
        self.batch_size: int | None = None
        self.gradient_accumulation_steps = 1
        self.precision = "float32"
        self.epoch_sums: dict[str, float] = {}
        self.stop_requested, self.stop_confirmed = False, False

    def submodel_after(self, layer: str) -> "TaskModel":
        """Make a `TaskModel` of everything behind a layer. It has the same layers and the same losses.

        Args:
            layer: name of a layer. Everything behind it must depend on its output alone, which becomes the input of
                the new model.
        """
        start = self.get_layer(layer).output
        before = {each.name for each in keras.Model(self.inputs, start).layers}
        names = self.backbone_layers - before
        return TaskModel(start, self.output, self._loss_by_name, self._loss_names, names, name=f"after_{layer}")

    @property
    def trained_losses(self) -> tuple[str, ...]:
        """Names of the losses that are minimized."""
        return self._loss_names if self.trained_stream == "all" else (self.trained_stream,)

    def train_step(self, data: Any) -> tf.Tensor:
        """Do one training step of one replica.

        The sum of the losses is divided by the number of examples in the full batch. Keras, and
        `pipeline/training/optimizer.py`, add the gradients of the replicas, so replicas may have unequally many
        examples.

        Args:
            data: (inputs, targets) of this replica.

        Returns:
            float32 `[losses + 1]`: the sum of each trained loss, and the number of examples.
        """
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        count = tf.cast(tf.shape(keras.tree.flatten(inputs)[0])[0], tf.float32)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        full_batch_size = self.batch_size or count * replicas
        if self.gradient_accumulation_steps == 1:
            gradients, sums = self._gradients(inputs, targets, full_batch_size)
        else:
            gradients, sums = accumulate_gradients(
                lambda micro_inputs, micro_targets: self._gradients(micro_inputs, micro_targets, full_batch_size),
                self.trainable_weights,
                len(self.trained_losses),
                (inputs, targets),
                self.gradient_accumulation_steps,
            )
        self.optimizer.apply(gradients, self.trainable_weights)
        return tf.stack([*(tf.cast(value, tf.float32) for value in sums), count])

    def _gradients(
        self, inputs: Any, targets: Any, full_batch_size: tf.Tensor | int
    ) -> tuple[list[tf.Tensor | None], list[tf.Tensor]]:
        """Compute the gradient of each trainable weight, and the sum of each trained loss, for some examples."""
        with tf.GradientTape() as tape:
            losses = self._loss_by_name(targets, self(inputs, training=True))
            # Losses that are not minimized are not used, so TensorFlow doesn't compute them.
            sums = [keras.ops.sum(losses[name]) for name in self.trained_losses]
            loss = sum(sums) / full_batch_size
            scaled = self.optimizer.scale_loss(loss)
        return tape.gradient(scaled, self.trainable_weights), sums

    def make_train_function(self, force: bool = False) -> None:
        """Build the function that does one training step. Keras calls this hook.

        It is overridden because Keras 3's own function fails on several machines (keras issue 20585), and to measure
        the time spent waiting for data. Sums and counts are added over all replicas, and with them whether any process
        has been asked to stop.

        Args:
            force: build the function again if it exists.
        """
        if self.train_function is not None and not force:
            return
        strategy, names = self.distribute_strategy, self.trained_losses

        def replica_step(data: Any, stop: tf.Tensor) -> tf.Tensor:
            return tf.concat([self.train_step(data), [stop]], axis=0)

        traced_step: Callable[..., tf.Tensor] | None = None

        def step(data: Any, stop: tf.Tensor) -> tf.Tensor:
            with precision_scope(self, self.precision):
                return strategy.reduce("SUM", strategy.run(replica_step, args=(data, stop)), axis=None)

        def next_step(iterator: Iterator[Any]) -> dict[str, float]:
            nonlocal traced_step
            if traced_step is None:
                # With the signature of the dataset, batches whose images differ in size share one trace.
                signature = None
                if isinstance(iterator, tf.data.Iterator):
                    signature = [iterator.element_spec, tf.TensorSpec([], tf.float32)]
                traced_step = tf.function(step, input_signature=signature, reduce_retracing=True, autograph=False)
            started = time.perf_counter()
            data = next(iterator)
            self.input_wait_seconds += time.perf_counter() - started
            *sums, count, stop = traced_step(data, tf.constant(float(self.stop_requested))).numpy().tolist()
            self.stop_confirmed = stop > 0
            for name, value in zip((*names, "examples"), (*sums, count), strict=True):
                self.epoch_sums[name] = self.epoch_sums.get(name, 0.0) + value
            return self.get_metrics_result()

        self.train_function = next_step

    def get_metrics_result(self) -> dict[str, float]:
        """Return the mean losses of the epoch so far, over all replicas, for Keras's logs."""
        sums = dict(self.epoch_sums)
        count = max(sums.pop("examples", 0.0), 1.0)
        means = {name: value / count for name, value in sums.items()}
        return {"loss": sum(means.values())} | (means if len(self._loss_names) > 1 else {})

    def reset_metrics(self) -> None:
        """Forget the sums of the epoch. Keras calls this at the start of each epoch."""
        self.epoch_sums = {}

    def save_weights(self, filepath: str | os.PathLike[str], **options: Any) -> None:
        """Save the weights as Keras does, but never the optimizer's state.

        The state is three times as large, and the checkpoint contains it.
        """
        keras.Model(self.inputs, self.outputs).save_weights(filepath, **options)

    def load_weights(self, filepath: str | os.PathLike[str], **options: Any) -> None:
        """Load the weights from a file that `save_weights` wrote."""
        keras.Model(self.inputs, self.outputs).load_weights(filepath, **options)

    @property
    def backbone(self) -> list[keras.Layer]:
        """The layers of the backbone, in the order of the graph."""
        return [layer for layer in self.layers if layer.name in self.backbone_layers]

    @property
    def head(self) -> list[keras.Layer]:
        """The layers that are not the backbone's, in the order of the graph."""
        return [layer for layer in self.layers if layer.name not in self.backbone_layers]

    def is_backbone(self, variable: keras.Variable) -> bool:
        """Whether a variable of this model belongs to the backbone, by the layer's name in its path."""
        return variable.path.split("/")[0] in self.backbone_layers
