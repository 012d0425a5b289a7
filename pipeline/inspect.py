"""`retinue inspect`: a backbone's layers as rows for the screen or JSON."""

import dataclasses
import math

import keras

from retinue import backbones
from retinue.backbones.mechanics import layer_table


def layer_rows(name, size, exact=False):
    """A dict a layer of the backbone `name` with its classifier, for pictures of `size` x `size` pixels.

    exact: numbers as they are (None for the receptive field of what sees the whole picture), not shortened for reading.
    """
    with keras.StatelessScope(initialize_variables=False):  # the graph is enough: no memory for weights
        model = backbones.build(name, "none", input_size=size, classifier=True)
        rows = [dataclasses.asdict(row) for row in layer_table(model)]
    if exact:
        return [{key: _finite(value) for key, value in row.items()} for row in rows]
    return [_readable(row) for row in rows]


def _readable(row):
    field, narrowest = row["receptive_field"], row["narrowest_branch"]
    sees = "whole picture" if not math.isfinite(field) else str(field)
    if narrowest is not None and narrowest != field and math.isfinite(field):
        sees = f"{narrowest} to {field}"
    return {
        "layer": row["name"],
        "kind": row["kind"],
        "output": " x ".join(str(side) for side in row["output"] if side is not None),
        "kernel": _by(row["kernel"]),
        "stride": _by(row["stride"]),
        "dilation": _by(row["dilation"]),
        "sees (px)": sees,
        "parameters": f"{row['parameters']:,}" if row["parameters"] else "",
        "multiply-adds": f"{row['multiply_adds'] / 1e6:,.1f}M" if row["multiply_adds"] else "",
    }


def _by(value):
    if value in (None, (1, 1), 1):
        return ""
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value
