"""Class weights that balance classes of different frequency in the loss."""

from collections.abc import Sequence

import numpy as np

# train.class_balance: the power of the inverse class count that each mode weighs by.
WEIGHT_POWERS = {"sqrt_weights": 0.5, "weights": 1.0}


def class_weights(class_balance: str, counts: Sequence[int] | np.ndarray | None) -> list[float] | None:
    """Return the class weights that `train.class_balance` asks for.

    Args:
        class_balance: value of `train.class_balance`: none, sqrt_weights, weights or sampler.
        counts: int [classes], examples (or pixels) of each class in the training set, or None if unknown.

    Returns:
        A weight per class, or None if the loss weighs all classes equally.
    """
    if class_balance not in WEIGHT_POWERS or counts is None:
        return None
    return balanced_class_weights(counts, WEIGHT_POWERS[class_balance])


def balanced_class_weights(counts: Sequence[int] | np.ndarray, power: float = 1.0) -> list[float]:
    """Compute class weights that fall with the class counts and have mean 1 over all examples.

    Args:
        counts: int [classes], examples of each class.
        power: 1 gives every class the same total weight; 0.5 goes half of the way on a log scale, as Mahajan et al.
            2018 do in their sampling.

    Returns:
        A weight per class; 0 for a class without examples.
    """
    weights = [int(count) ** -power if count else 0.0 for count in counts]
    mean = sum(weight * int(count) for weight, count in zip(weights, counts, strict=True)) / sum(map(int, counts))
    return [weight / mean for weight in weights]
