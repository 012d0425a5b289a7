"""The demo's camera: it moves as it is told, and a single frame does not tell how."""

import cv2
import numpy as np
import pytest

from retinue.pipeline.demos import virtual_camera
from retinue.pipeline.demos.demo_video import parts_of_classes
from retinue.tasks.scores import Scores


@pytest.fixture(scope="module")
def footage():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (60, 34, 3), np.uint8)
    picture = cv2.resize(coarse, (324, 576), interpolation=cv2.INTER_CUBIC)
    return [picture] * 40


def motion(frames):
    """Mean flow of the middle, and how much it points outwards and turns: pixels, and shares a pixel."""
    from retinue.tasks.video import flow

    field = flow.compute(*(flow.to_gray(frame) for frame in frames[7:9]))[14:-14, 14:-14]
    y, x = np.mgrid[: field.shape[0], : field.shape[1]]
    y, x = y - y.mean(), x - x.mean()
    outwards = (field[..., 0] * x + field[..., 1] * y).sum() / (x**2 + y**2).sum()
    turning = (field[..., 1] * x - field[..., 0] * y).sum() / (x**2 + y**2).sum()
    return field[..., 0].mean(), outwards, np.degrees(turning)


def test_every_move(footage):
    random = np.random.default_rng(1)
    seen = {move: motion(virtual_camera.film(footage, move, random)) for move in virtual_camera.MOVES}
    assert np.abs(seen["still"]).max() < 0.2
    assert -3.3 < seen["pan right"][0] < -1.2 and 1.2 < seen["pan left"][0] < 3.3  # what is seen goes the other way
    assert 0.01 < seen["zoom in"][1] < 0.03 and -0.03 < seen["zoom out"][1] < -0.01
    assert abs(seen["roll left"][2]) > 0.8 and seen["roll left"][2] * seen["roll right"][2] < 0


def test_where_the_camera_is_does_not_tell_the_move():
    """At the frames where a stack of flow may start, every move has the same distribution of places."""
    starts = slice(0, virtual_camera.LAST_START + 1)
    spread = {}
    for move in virtual_camera.MOVES:
        random = np.random.default_rng(2)
        paths = np.stack([virtual_camera._path(move, random)[starts] for _ in range(3000)])
        spread[move] = paths.mean(axis=(0, 1)), paths.std(axis=(0, 1))
    scale = spread["still"][1]
    for mean, deviation in spread.values():
        assert (np.abs(mean) < 0.06 * scale).all() and (np.abs(deviation / scale - 1) < 0.1).all()


def test_parts_of_classes():
    names = ["a, x", "a, y", "b, x", "b, y"]
    right_view = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    right_move = [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]

    def table(counts):
        return [{"t": name} | dict(zip(names, row, strict=True)) for name, row in zip(names, counts, strict=True)]

    tables = {"confusion_spatial": table(right_view), "confusion_temporal": table(right_move)}
    tables["confusion"] = table((2 * np.eye(4, dtype=int)).tolist())
    spatial, temporal, both = parts_of_classes(Scores("accuracy", {"accuracy": 1.0}, tables=tables))
    assert spatial == {"stream": "spatial", "view": 1.0, "move": 0.5, "view_of_move": 1.0, "move_of_view": 0.5}
    assert temporal == {"stream": "temporal", "view": 0.5, "move": 1.0, "view_of_move": 0.5, "move_of_view": 1.0}
    assert both["view"] == both["move"] == both["view_of_move"] == 1.0
