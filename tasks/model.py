"""`TaskModel`: the `keras.Model` of every task. It knows its own losses, so that `compile` needs only an optimizer."""

import time

import keras
import tensorflow as tf


class TaskModel(keras.Model):
    """A functional model with its losses, and with the knowledge which of its layers are the pretrained backbone.

    inputs, outputs: as for `keras.Model`; a flat graph, never a model within a model.
    loss: function (targets, outputs) -> dict from a loss's name to float `[n]`, a value an example; their sum is
        minimised, averaged over the batch. More than one is also logged, each by its name.
    loss_names: the names in that dict.
    backbone_layers: names of the layers that came from the backbone; the others are the head.
    parts: of a net whose parts can learn apart: {a loss's name: names of the layers that it is of}.
    learns: the part whose loss is minimised, or "all".
    seconds_waiting: time that training steps have waited for data, in seconds.
    """

    def __init__(self, inputs, outputs, loss, loss_names, backbone_layers, name=None, parts=None):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._loss_by_name, self._loss_names = loss, tuple(loss_names)
        self.backbone_layers = frozenset(backbone_layers)
        self._trackers = {}
        if len(loss_names) > 1:
            self._trackers = {part: keras.metrics.Mean(name=part) for part in loss_names}
        self.parts = {part: frozenset(layers) for part, layers in (parts or {}).items()}
        self.learns = "all"
        self.seconds_waiting = 0.0

    def behind(self, layer):
        """The part of the net behind a layer as a `TaskModel` of its own, on the same layers and with the same losses.

        layer: the name of one that all that follows depends on alone; its output is the new model's input.
        """
        start = self.get_layer(layer).output
        names = self.backbone_layers - {found.name for found in keras.Model(self.inputs, start).layers}
        return TaskModel(start, self.output, self._loss_by_name, self._loss_names, names, name=f"behind_{layer}")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean over this replica's batch of the summed losses, divided by the number of replicas.

        Keras adds the gradients of the replicas, so the division makes the mean of equal shares the global mean.
        """
        parts = self._loss_by_name(y, y_pred)
        if self.learns != "all":  # nothing of the others is used, so that TensorFlow doesn't compute them
            parts = {self.learns: parts[self.learns]}
        for name, part in parts.items():
            if name in self._trackers:
                self._trackers[name].update_state(part)
        total = sum(keras.ops.mean(part) for part in parts.values())
        return total / tf.distribute.get_strategy().num_replicas_in_sync

    def make_train_function(self, force=False):
        """Keras's hook for the function of one step, overridden to take the batch outside of the graph.

        That lets the time spent waiting for data be measured, and is what training on several machines needs too:
        Keras 3's own step fails there (keras issue 20585).
        """
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy

        @tf.function(reduce_retracing=True)
        def step(data):
            outputs = strategy.run(self.train_step, args=(data,))
            return tf.nest.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), outputs)

        def next_step(iterator):
            started = time.perf_counter()
            data = next(iterator)
            self.seconds_waiting += time.perf_counter() - started
            return step(data)

        self.train_function = next_step

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
