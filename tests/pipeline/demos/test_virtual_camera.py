"""The virtual camera of the video demo: it moves as requested, and a single frame does not reveal the move."""

import cv2
import numpy as np
import pytest

from retinue.pipeline.demos import virtual_camera
from retinue.pipeline.demos.demo_video import view_and_move_accuracy
from retinue.tasks.scores import Scores


@pytest.fixture(scope="module")
def footage():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (60, 34, 3), np.uint8)
    frame = cv2.resize(coarse, (324, 576), interpolation=cv2.INTER_CUBIC)
    return [frame] * 40


def motion(frames):
    """Return the mean horizontal flow of the center in pixels, its divergence, and its rotation in degrees."""
    from retinue.tasks.video import flow

    field = flow.compute(*(flow.to_gray(frame) for frame in frames[7:9]))[14:-14, 14:-14]
    y, x = np.mgrid[: field.shape[0], : field.shape[1]]
    y, x = y - y.mean(), x - x.mean()
    divergence = (field[..., 0] * x + field[..., 1] * y).sum() / (x**2 + y**2).sum()
    rotation = (field[..., 1] * x - field[..., 0] * y).sum() / (x**2 + y**2).sum()
    return field[..., 0].mean(), divergence, np.degrees(rotation)


def test_the_flow_of_every_move_has_the_right_direction(footage):
    random = np.random.default_rng(1)
    motions = {move: motion(virtual_camera.film(footage, move, random)) for move in virtual_camera.MOVES}
    assert np.abs(motions["still"]).max() < 0.2
    # The content moves in the direction opposite to the camera.
    assert -3.3 < motions["pan right"][0] < -1.2 and 1.2 < motions["pan left"][0] < 3.3
    assert 0.01 < motions["zoom in"][1] < 0.03 and -0.03 < motions["zoom out"][1] < -0.01
    assert abs(motions["roll left"][2]) > 0.8 and motions["roll left"][2] * motions["roll right"][2] < 0


def test_the_position_of_the_camera_does_not_reveal_the_move():
    """At the frames at which a stack of flow fields may start, every move has the same distribution of positions."""
    starts = slice(0, virtual_camera.LAST_START + 1)
    statistics = {}
    for move in virtual_camera.MOVES:
        random = np.random.default_rng(2)
        paths = np.stack([virtual_camera._camera_path(move, random)[starts] for _ in range(3000)])
        statistics[move] = paths.mean(axis=(0, 1)), paths.std(axis=(0, 1))
    scale = statistics["still"][1]
    for mean, deviation in statistics.values():
        assert (np.abs(mean) < 0.06 * scale).all() and (np.abs(deviation / scale - 1) < 0.1).all()


def test_view_and_move_accuracy_of_known_confusion_matrices():
    names = ["a, x", "a, y", "b, x", "b, y"]
    correct_view = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    correct_move = [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]

    def table(counts):
        return [{"t": name} | dict(zip(names, row, strict=True)) for name, row in zip(names, counts, strict=True)]

    tables = {"confusion_spatial": table(correct_view), "confusion_temporal": table(correct_move)}
    tables["confusion"] = table((2 * np.eye(4, dtype=int)).tolist())
    spatial, temporal, both = view_and_move_accuracy(Scores("accuracy", {"accuracy": 1.0}, tables=tables))
    assert spatial == {
        "stream": "spatial",
        "view": 1.0,
        "move": 0.5,
        "view_if_move_correct": 1.0,
        "move_if_view_correct": 0.5,
    }
    assert temporal == {
        "stream": "temporal",
        "view": 0.5,
        "move": 1.0,
        "view_if_move_correct": 0.5,
        "move_if_view_correct": 1.0,
    }
    assert both["view"] == both["move"] == both["view_if_move_correct"] == 1.0
