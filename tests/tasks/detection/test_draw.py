"""Drawings of detections: positions of boxes, colors that show what is right, and images of any size."""

import numpy as np
import pytest

from retinue.data.dataset import Dataset
from retinue.data.readers.objects import object_columns
from retinue.tasks import drawing
from retinue.tasks.detection.draw import (
    COLORS,
    FALSE_NEGATIVE_COLOR,
    draw,
    draw_objects,
    summarize_errors,
    truth_of_record,
)

CLASSES = ("cat", "dog")


def gray(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def detection(label, score, *box):
    return {"label": label, "score": score, "box": list(map(float, box))}


def truth(boxes, labels, **flags):
    rows = [0] * len(boxes)
    columns = object_columns(rows, boxes, labels, rows, [0], **flags)
    data = Dataset("detection", ["a.jpg"], CLASSES, columns, format="coco")
    return truth_of_record(data, next(iter(data)))


def count(image, color):
    return int((image == np.array(color)).all(axis=-1).sum())


def extent(image, color):
    rows, columns = np.nonzero((image == np.array(color)).all(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_boxes_are_drawn_at_their_position_and_low_scores_are_left_out():
    prediction = {"detections": [detection("dog", 0.9, 100, 200, 300, 400), detection("cat", 0.1, 10, 10, 50, 50)]}
    image = draw(gray(600, 800), prediction, CLASSES)
    assert image.shape == (600, 800, 3) and image.dtype == np.uint8
    left, top, right, bottom = extent(image, COLORS[1])
    assert (left, right, bottom) == (100, 300, 400) and top < 200  # the label is above
    assert count(image, COLORS[0]) == 0
    assert (image[300, 150:250] == 128).all()
    all_boxes = draw(gray(600, 800), prediction, CLASSES, threshold=0)
    assert count(all_boxes, COLORS[0]) > 0


@pytest.mark.parametrize("size", [(9, 7), (30, 500), (2000, 1500), (1, 1)])
def test_images_of_any_size_can_be_drawn(size):
    height, width = size
    prediction = {
        "detections": [detection("dog", 0.9, 0, 0, width, height), detection("dog", 0.8, -5, -5, 2 * width, 3)]
    }
    image = draw(gray(height, width), prediction, CLASSES)
    assert max(image.shape[:2]) >= 400 and image.shape[0] * width == image.shape[1] * height
    beside = draw(gray(height, width), prediction, CLASSES, truth([[0, 0, width, height]], [1]))
    assert beside.shape == image.shape and (beside != image).any()


def test_colors_beside_the_ground_truth():
    objects = truth([[20, 20, 120, 120], [200, 20, 300, 120], [400, 20, 500, 120], [600, 300, 700, 400]], [0, 0, 1, 1],
                    crowd=[False, False, False, True])  # fmt: skip
    right, confused = detection("cat", 0.9, 20, 20, 120, 120), detection("dog", 0.8, 200, 20, 300, 120)
    false, crowd = detection("cat", 0.7, 20, 300, 120, 400), detection("dog", 0.7, 610, 310, 660, 390)
    image = draw(gray(450, 800), {"detections": [right, confused, false, crowd]}, CLASSES, objects)
    for color, box in (
        (drawing.RIGHT, (20, 20, 120, 120)),
        (drawing.NEUTRAL, (200, 20, 300, 120)),
        (FALSE_NEGATIVE_COLOR, (400, 20, 500, 120)),
    ):
        x1, y1, x2, y2 = box
        inside = image[y1 + 30 : y2 - 30, x1 - 3 : x2 + 3]
        assert count(inside, color) > 0, color
    assert count(image[330:370, 17:123], drawing.WRONG) > 0
    assert count(image[320:380, 600:700], drawing.FAINT) > 0
    assert image.shape == (450, 800, 3)


def test_summary_counts_the_kinds_of_errors():
    objects = truth(
        [[20, 20, 120, 120], [200, 20, 300, 120], [400, 20, 500, 120]], [0, 0, 1], difficult=[False, False, True]
    )
    prediction = {"detections": [detection("cat", 0.9, 20, 20, 120, 120), detection("cat", 0.7, 20, 300, 120, 400)]}
    assert summarize_errors(prediction, objects) == (
        ["2 objects"],
        [
            {"label": "1 true positive", "score": None, "right": True},
            {"label": "1 false negative", "score": None, "right": False},
            {"label": "1 false positive", "score": None, "right": False},
        ],
    )
    assert summarize_errors({"detections": []}, truth(np.zeros((0, 4)), [])) == (["0 objects"], [])


def test_without_detections_and_objects_the_image_is_unchanged():
    image = draw(gray(500, 400), {"detections": []}, CLASSES)
    assert (image == 128).all()
    beside = draw(gray(500, 400), {"detections": []}, CLASSES, truth(np.zeros((0, 4)), []))
    assert (beside == 128).all()


def test_labels_do_not_cover_each_other():
    many = [detection("cat", 0.5 + index / 100, 100 + index, 100, 140 + index, 140) for index in range(20)]
    image = draw(gray(400, 800), {"detections": many}, CLASSES)
    above = (image[80:98] != 128).any(axis=(0, 2))
    assert 0 < above.sum() < 120  # one label of "cat 69%", not twenty
    assert (image[:70] == 128).all()


def test_objects_are_drawn_without_detections():
    image = draw_objects(gray(400, 500), [[10, 50, 100, 150], [200, 50, 300, 150]], [1, -2], CLASSES)
    assert count(image, COLORS[1]) > 0 and count(image, drawing.FAINT) > 0
