"""The private API of Keras that this package uses, in one place.

Everything else uses the public API. Check this file against each new version of Keras; `setup.py` caps the version.
"""

from typing import Any

import keras


class WithoutSymbolicBuild:
    """Mixin for a `keras.Model` that is completely built: `fit` does not build it again.

    Under a distribution strategy, `fit` builds the model by a step on data averaged over the replicas, which fails on
    several machines (Keras issue 20585). No public option turns that off.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Do nothing. Keras calls this hook at the start of `fit` and `evaluate`."""


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Return the index of a variable among the trainable variables of an optimizer.

    It is the method by which Keras's own optimizers find the slots of a variable in `update_step`, and the one that the
    documentation of `keras.optimizers.Optimizer` uses for custom optimizers. It also knows a variable's replicas, which
    a table of ours could only find by further private attributes.

    Args:
        optimizer: A built optimizer.
        variable: A `keras.Variable`, or the `tf.Variable` of one replica.
    """
    return optimizer._get_variable_index(variable)
