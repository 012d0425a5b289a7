"""Outlines of shapes."""

import numpy as np
import pytest

from retinue.data.readers.labeling_tools.outlines import (
    bounds,
    ellipse_outline,
    parse_points,
    rectangle_outline,
    rotate_outline,
)


def test_an_ellipse_touches_its_box_and_has_about_its_area():
    outline = ellipse_outline(50, 40, 20, 10)
    assert np.allclose(bounds([outline]), [30, 30, 70, 50])
    x, y = outline.T
    area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
    assert area == pytest.approx(np.pi * 20 * 10, rel=0.005)


def test_rotation_is_clockwise_as_it_is_seen():
    """y points down: a quarter turn around the upper left corner moves the right corner down."""
    turned = rotate_outline(rectangle_outline(10, 10, 30, 20), (10, 10), 90)
    assert np.allclose(turned, [[10, 10], [10, 30], [0, 30], [0, 10]])


@pytest.mark.parametrize("points", [[], [[1, 2, 3]], [[1, float("nan")]], [1, 2], [["a", "b"]]])
def test_other_things_are_not_points(points):
    with pytest.raises(ValueError):
        parse_points(points)
