"""`benchmarks/corpus.py` compares the report of a check with the truth, field by field."""

import pytest

from retinue.benchmarks.corpus import compare

REPORT = {
    "task": "detection",
    "files": 4,
    "classes": {"cat": {"train": 2, "val": 1}, "dog": {"train": 0, "val": 0}},
    "splits": {"train": 3, "val": 1, "test": 0},
    "objects": {"objects": 3, "crowds": 0, "left_out": 0},
}
TRUTH = {
    "task": "detection or instance_segmentation",
    "images": 4,
    "objects": 3,
    "classes": {"cat": 3},
    "splits": {"train": 3, "val": 1},
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"images": None, "objects": None, "classes": None, "splits": None}, []),
        ({"task": "segmentation"}, ["task detection"]),
        ({"task": "refused"}, ["task detection"]),
        ({"task": "refused, or read"}, []),
        ({"images": 5}, ["4 images, not 5"]),
        ({"objects": 2}, ["3 objects, not 2"]),
        ({"classes": {"cat": 2, "dog": 1}}, ["classes {'cat': 3}"]),
        ({"splits": {"train": 4}}, ["splits {'train': 3, 'val': 1}"]),
    ],
)
def test_everything_that_differs_is_named(change, expected):
    assert compare(TRUTH | change, REPORT) == expected
