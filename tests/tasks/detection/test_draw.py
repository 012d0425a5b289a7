"""Pictures of detections: boxes at their places, colours that say what is right, any size of picture."""

import numpy as np
import pytest

from retinue.data.dataset import Dataset
from retinue.data.readers.objects import object_columns
from retinue.tasks import drawing
from retinue.tasks.detection.draw import COLORS, MISSED, draw, draw_objects, in_words, truth_of_record

CLASSES = ("cat", "dog")


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def detection(label, score, *box):
    return {"label": label, "score": score, "box": list(map(float, box))}


def truth(boxes, labels, **flags):
    rows = [0] * len(boxes)
    columns = object_columns(rows, boxes, labels, rows, [0], **flags)
    data = Dataset("detection", ["a.jpg"], CLASSES, columns, format="coco")
    return truth_of_record(data, next(iter(data)))


def count(picture, color):
    return int((picture == np.array(color)).all(axis=-1).sum())


def extent(picture, color):
    rows, columns = np.nonzero((picture == np.array(color)).all(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_boxes_lie_where_they_are_and_weak_ones_are_left_out():
    said = {"detections": [detection("dog", 0.9, 100, 200, 300, 400), detection("cat", 0.1, 10, 10, 50, 50)]}
    picture = draw(grey(600, 800), said, CLASSES)
    assert picture.shape == (600, 800, 3) and picture.dtype == np.uint8
    left, top, right, bottom = extent(picture, COLORS[1])
    assert (left, right, bottom) == (100, 300, 400) and top < 200  # the label is above
    assert count(picture, COLORS[0]) == 0
    assert (picture[300, 150:250] == 128).all()
    everything = draw(grey(600, 800), said, CLASSES, threshold=0)
    assert count(everything, COLORS[0]) > 0


@pytest.mark.parametrize("size", [(9, 7), (30, 500), (2000, 1500), (1, 1)])
def test_any_size(size):
    height, width = size
    said = {"detections": [detection("dog", 0.9, 0, 0, width, height), detection("dog", 0.8, -5, -5, 2 * width, 3)]}
    picture = draw(grey(height, width), said, CLASSES)
    assert max(picture.shape[:2]) >= 400 and picture.shape[0] * width == picture.shape[1] * height
    beside = draw(grey(height, width), said, CLASSES, truth([[0, 0, width, height]], [1]))
    assert beside.shape == picture.shape and (beside != picture).any()


def test_colours_beside_the_truth():
    objects = truth([[20, 20, 120, 120], [200, 20, 300, 120], [400, 20, 500, 120], [600, 300, 700, 400]], [0, 0, 1, 1],
                    crowd=[False, False, False, True])  # fmt: skip
    right, mixed = detection("cat", 0.9, 20, 20, 120, 120), detection("dog", 0.8, 200, 20, 300, 120)
    false, crowd = detection("cat", 0.7, 20, 300, 120, 400), detection("dog", 0.7, 610, 310, 660, 390)
    picture = draw(grey(450, 800), {"detections": [right, mixed, false, crowd]}, CLASSES, objects)
    for color, box in (
        (drawing.RIGHT, (20, 20, 120, 120)),
        (drawing.NEUTRAL, (200, 20, 300, 120)),
        (MISSED, (400, 20, 500, 120)),
    ):
        x1, y1, x2, y2 = box
        inside = picture[y1 + 30 : y2 - 30, x1 - 3 : x2 + 3]
        assert count(inside, color) > 0, color
    assert count(picture[330:370, 17:123], drawing.WRONG) > 0
    assert count(picture[320:380, 600:700], drawing.FAINT) > 0
    assert picture.shape == (450, 800, 3)


def test_in_words():
    objects = truth(
        [[20, 20, 120, 120], [200, 20, 300, 120], [400, 20, 500, 120]], [0, 0, 1], difficult=[False, False, True]
    )
    said = {"detections": [detection("cat", 0.9, 20, 20, 120, 120), detection("cat", 0.7, 20, 300, 120, 400)]}
    assert in_words(said, objects) == (
        ["2 objects"],
        [
            {"label": "1 true positive", "score": None, "right": True},
            {"label": "1 false negative", "score": None, "right": False},
            {"label": "1 false positive", "score": None, "right": False},
        ],
    )
    assert in_words({"detections": []}, truth(np.zeros((0, 4)), [])) == (["0 objects"], [])


def test_nothing_to_draw():
    picture = draw(grey(500, 400), {"detections": []}, CLASSES)
    assert (picture == 128).all()
    beside = draw(grey(500, 400), {"detections": []}, CLASSES, truth(np.zeros((0, 4)), []))
    assert (beside == 128).all()


def test_labels_do_not_cover_each_other():
    many = [detection("cat", 0.5 + place / 100, 100 + place, 100, 140 + place, 140) for place in range(20)]
    picture = draw(grey(400, 800), {"detections": many}, CLASSES)
    above = (picture[80:98] != 128).any(axis=(0, 2))
    assert 0 < above.sum() < 120  # one label of "cat 69%", not twenty
    assert (picture[:70] == 128).all()


def test_objects_alone():
    picture = draw_objects(grey(400, 500), [[10, 50, 100, 150], [200, 50, 300, 150]], [1, -2], CLASSES)
    assert count(picture, COLORS[1]) > 0 and count(picture, drawing.FAINT) > 0
