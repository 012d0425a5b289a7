"""`TaskModel`: the `keras.Model` of every task. It knows its own losses, so that `compile` needs only an optimizer."""

import time

import keras
import tensorflow as tf

from retinue.tasks.gradient_accumulation import accumulated
from retinue.tasks.mixed_precision import computing_in


class TaskModel(keras.Model):
    """A functional model with its losses, and with the knowledge which of its layers are the pretrained backbone.

    inputs, outputs: as for `keras.Model`; a flat graph, never a model within a model.
    loss: function (targets, outputs) -> dict from a loss's name to float `[n]`, a value an example; their sum is
        minimised, averaged over the batch. More than one is also logged, each by its name.
    loss_names: the names in that dict.
    backbone_layers: names of the layers that came from the backbone; the others are the head.
    parts: of a net whose parts can learn apart: {a loss's name: names of the layers that it is of}.
    learns: the part whose loss is minimised, or "all".
    input_wait_seconds: time that training steps have waited for data, in seconds.
    batch_size: examples of a whole batch, or None where all replicas have equal shares.
    accumulate: a replica's share of a batch goes through the net in so many parts, whose gradients are added.
    precision: "float32", "mixed_float16" or "mixed_bfloat16", what training steps compute in; float16 needs an
    optimizer that
        scales the loss. All three are read when the first step after `compile` is traced.
    epoch_sums: of this epoch so far and of all replicas: {a loss's name: its sum, "examples": their number}.
    stop_requested, stop_confirmed: set the first to stop; after each step the second says whether any process has.
    """

    def __init__(self, inputs, outputs, loss, loss_names, backbone_layers, name=None, parts=None):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._loss_by_name, self._loss_names = loss, tuple(loss_names)
        self.backbone_layers = frozenset(backbone_layers)
        self.parts = {part: frozenset(layers) for part, layers in (parts or {}).items()}
        self.trained_stream = "all"
        self.input_wait_seconds = 0.0
        self.batch_size, self.gradient_accumulation_steps, self.precision = None, 1, "float32"
        self.epoch_sums = {}
        self.stop_requested, self.stop_confirmed = False, False

    def behind(self, layer):
        """The part of the net behind a layer as a `TaskModel` of its own, on the same layers and with the same losses.

        layer: the name of one that all that follows depends on alone; its output is the new model's input.
        """
        start = self.get_layer(layer).output
        names = self.backbone_layers - {found.name for found in keras.Model(self.inputs, start).layers}
        return TaskModel(start, self.output, self._loss_by_name, self._loss_names, names, name=f"behind_{layer}")

    @property
    def trained_losses(self):
        """Names of the losses that are minimised."""
        return self._loss_names if self.trained_stream == "all" else (self.trained_stream,)

    def train_step(self, data):
        """One replica's part of a step: data is its (inputs, targets). Float32 `[losses + 1]`: sums, and the examples.

        The sum of the losses is divided by the examples of the whole batch; Keras, and `optimizer.py`, add the
        gradients of the replicas, so replicas may have unequal shares.
        """
        inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        count = tf.cast(tf.shape(keras.tree.flatten(inputs)[0])[0], tf.float32)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        whole = self.batch_size or count * replicas
        if self.gradient_accumulation_steps == 1:
            gradients, sums = self._gradients(inputs, targets, whole)
        else:
            gradients, sums = accumulated(
                lambda *some: self._gradients(*some, whole),
                self.trainable_weights,
                len(self.trained_losses),
                (inputs, targets),
                self.gradient_accumulation_steps,
            )
        self.optimizer.apply(gradients, self.trainable_weights)
        return tf.stack([*(tf.cast(part, tf.float32) for part in sums), count])

    def _gradients(self, inputs, targets, whole):
        """(the gradient of each trainable weight, the sum of each learned loss) of some examples of `whole`."""
        with tf.GradientTape() as tape:
            parts = self._loss_by_name(targets, self(inputs, training=True))
            # Of the losses that are not learned nothing is used, so that TensorFlow doesn't compute them.
            sums = [keras.ops.sum(parts[name]) for name in self.trained_losses]
            loss = sum(sums) / whole
            scaled = self.optimizer.scale_loss(loss)
        return tape.gradient(scaled, self.trainable_weights), sums

    def make_train_function(self, force=False):
        """Keras's hook for the function of one step, overridden: Keras 3's own fails on several machines (keras issue
        20585), and here the time spent waiting for data is measured, too.

        Sums and counts are added over all replicas, and with them whether any process has been asked to stop.
        """
        if self.train_function is not None and not force:
            return
        strategy, names = self.distribute_strategy, self.trained_losses

        def of_replica(data, stop):
            return tf.concat([self.train_step(data), [stop]], axis=0)

        @tf.function(reduce_retracing=True)
        def step(data, stop):
            with computing_in(self, self.precision):
                return strategy.reduce("SUM", strategy.run(of_replica, args=(data, stop)), axis=None)

        def next_step(iterator):
            started = time.perf_counter()
            data = next(iterator)
            self.input_wait_seconds += time.perf_counter() - started
            *sums, count, stop = step(data, tf.constant(float(self.stop_requested))).numpy().tolist()
            self.stop_confirmed = stop > 0
            for name, value in zip((*names, "examples"), (*sums, count), strict=True):
                self.epoch_sums[name] = self.epoch_sums.get(name, 0.0) + value
            return self.get_metrics_result()

        self.train_function = next_step

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Keras builds here what is not built yet, by a step on averaged data, which several machines can't do (see
        `make_train_function`). Everything of this model is built."""

    def get_metrics_result(self):
        """The mean losses of the epoch so far, over all replicas: Keras's logs."""
        sums = dict(self.epoch_sums)
        count = max(sums.pop("examples", 0.0), 1.0)
        means = {name: value / count for name, value in sums.items()}
        return {"loss": sum(means.values())} | (means if len(self._loss_names) > 1 else {})

    def reset_metrics(self):
        """At an epoch's start."""
        self.epoch_sums = {}

    def save_weights(self, filepath, **options):
        """As Keras's, but never with the optimizer's state, which is three times as large and is in the checkpoint."""
        keras.Model(self.inputs, self.outputs).save_weights(filepath, **options)

    def load_weights(self, filepath, **options):
        """As Keras's, for files that `save_weights` wrote."""
        keras.Model(self.inputs, self.outputs).load_weights(filepath, **options)

    @property
    def backbone(self):
        """The backbone's layers, in the order of the graph."""
        return [layer for layer in self.layers if layer.name in self.backbone_layers]

    @property
    def head(self):
        """The other layers."""
        return [layer for layer in self.layers if layer.name not in self.backbone_layers]

    def is_backbone(self, variable):
        """Whether a `keras.Variable` of this model belongs to the backbone (by the layer's name in its path)."""
        return variable.path.split("/")[0] in self.backbone_layers
