"""`retinue inspect`: a backbone's layers as rows for the screen, JSON or CSV."""

import dataclasses
import math

import keras

from retinue import backbones
from retinue.backbones.layer_table import as_csv, layer_table


def layer_rows(name, size, exact=False):
    """A dict a layer of the backbone `name` with its classifier, for pictures of `size` x `size` pixels.

    exact: numbers as they are (None for the receptive field of what sees the whole image), not shortened for reading.
    """
    rows = [dataclasses.asdict(row) for row in _layers(name, size)]
    if exact:
        return [{key: _finite(value) for key, value in row.items()} for row in rows]
    return [_readable(row) for row in rows]


def layer_csv(name, size):
    """The same as the text of a CSV file, shapes as 32x32x3."""
    return as_csv(_layers(name, size))


def _layers(name, size):
    with keras.StatelessScope(initialize_variables=False):  # the graph is enough: no memory for weights
        return layer_table(backbones.build(name, "none", input_size=size, classifier=True))


def _readable(row):
    sees = _from_to(row["min_receptive_field"], row["receptive_field"])
    whole = not math.isfinite(row["receptive_field"])
    return {
        "layer": row["name"],
        "kind": row["kind"],
        "output": " x ".join(str(side) for side in row["output"] if side is not None),
        "kernel": _by(row["kernel"]),
        "stride": _by(row["stride"]),
        "dilation": _by(row["dilation"]),
        "one in (px)": "" if whole else _from_to(row["min_effective_stride"], row["effective_stride"]),
        "sees (px)": "whole image" if whole else sees,
        "parameters": f"{row['parameters']:,}" if row["parameters"] else "",
        "multiply-adds": f"{row['multiply_adds'] / 1e6:,.1f}M" if row["multiply_adds"] else "",
    }


def _from_to(least, most):
    """One number, or both where branches differ."""
    return f"{most:g}" if least in (None, most) else f"{least:g} to {most:g}"


def _by(value):
    if value in (None, (1, 1), 1):
        return ""
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value
