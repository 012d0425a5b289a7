"""`retinue summary`: the layers of a backbone as rows for the screen, as JSON or as CSV."""

import dataclasses
import math
from typing import Any

import keras

from retinue import backbones
from retinue.backbones.layer_table import LayerRow, as_csv, layer_table


def layer_rows(name: str, size: int, exact: bool = False) -> list[dict[str, Any]]:
    """Return a row for each layer of a backbone with its classifier.

    Args:
        name: the name of the backbone.
        size: the side of the images in pixels.
        exact: whether numbers stay as they are, with None for the receptive field of a layer that sees the whole image.
            By default they are shortened for the screen.
    """
    rows = [dataclasses.asdict(row) for row in _layers(name, size)]
    if exact:
        return [{key: _finite(value) for key, value in row.items()} for row in rows]
    return [_readable(row) for row in rows]


def layer_csv(name: str, size: int) -> str:
    """Return the exact rows as the text of a CSV file, with shapes such as 32x32x3. The arguments are the same."""
    return as_csv(_layers(name, size))


def _layers(name: str, size: int) -> list[LayerRow]:
    with keras.StatelessScope(initialize_variables=False):  # the graph is enough, so weights take no memory
        return layer_table(backbones.build(name, "none", input_size=size, classifier=True))


def _readable(row: dict[str, Any]) -> dict[str, str]:
    sees_all = not math.isfinite(row["receptive_field"])
    receptive_field = _range(row["min_receptive_field"], row["receptive_field"])
    return {
        "layer": row["name"],
        "kind": row["kind"],
        "output": " x ".join(str(side) for side in row["output"] if side is not None),
        "kernel": _by(row["kernel"]),
        "stride": _by(row["stride"]),
        "dilation": _by(row["dilation"]),
        "effective stride (px)": "" if sees_all else _range(row["min_effective_stride"], row["effective_stride"]),
        "receptive field (px)": "whole image" if sees_all else receptive_field,
        "parameters": f"{row['parameters']:,}" if row["parameters"] else "",
        "multiply-adds": f"{row['multiply_adds'] / 1e6:,.1f}M" if row["multiply_adds"] else "",
    }


def _range(lowest: float | None, highest: float) -> str:
    """Return one number, or both where branches differ."""
    return f"{highest:g}" if lowest in (None, highest) else f"{lowest:g} to {highest:g}"


def _by(value: Any) -> str:
    if value in (None, (1, 1), 1):
        return ""
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
