"""COCO's run lengths, plain and compressed, and damaged ones, which must not reach native code."""

import numpy as np
import pytest
from pycocotools import mask as coco

from retinue.data.readers.coco.run_lengths import decode_run_lengths

# Columns of three rows: the pixels 2, 3 and 5 are inside.
MASK = [[0, 1], [0, 0], [1, 1]]


def test_runs_go_down_the_columns():
    assert decode_run_lengths([2, 2, 1, 1], 3, 2).tolist() == np.array(MASK, bool).tolist()
    assert decode_run_lengths([0, 6], 3, 2).all()


def test_text_by_hand():
    # 2, 2, 1 as digits; the fourth run, 1, as its difference of -1 from the second: the five bits 11111.
    assert decode_run_lengths("221O", 3, 2).tolist() == np.array(MASK, bool).tolist()
    # 70 = 6 + 2 * 32: the digit 6 with the bit that says that more follow, then 2.
    assert decode_run_lengths("V2", 7, 10).tolist() == np.zeros((7, 10), bool).tolist()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_text_is_read_as_by_pycocotools(share):
    pixels = np.random.default_rng(0).random((300, 50)) < share
    pixels[:, 10:20] = True
    encoded = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    assert np.array_equal(decode_run_lengths(encoded["counts"].decode(), 300, 50), pixels)


@pytest.mark.parametrize(
    "counts", ["", "V", "~~", "é", "2O", "VVVVVVVVVV2", [1.5], ["1"], [[6]], [-1, 7], [1 << 70], [7]]
)
def test_what_is_no_run_lengths_is_refused(counts):
    with pytest.raises(ValueError, match="its run lengths can't be understood"):
        decode_run_lengths(counts, 3, 2)


@pytest.mark.parametrize(("counts", "filled"), [([2, 2], 4), ("22", 4), ([6, 6], 12), ([], 0)])
def test_runs_must_fill_the_image(counts, filled):
    with pytest.raises(ValueError, match=f"its run lengths fill {filled} pixels, but the image has 6"):
        decode_run_lengths(counts, 3, 2)
