"""Scores against an independent computation, pixel by pixel, on random masks with void and absent classes."""

import numpy as np
import pytest

from retinue.data.readers.mask_folders import mask_dataset
from retinue.tasks.segmentation.scores import SegmentationEvaluator, confusion_matrix, mean_iou_per_image, summary
from retinue.tests.helpers.mask_images import make_image, make_mask

NAMES = ("sky", "road", "car", "tree", "never")


def random_masks(seed, count=5, size=(7, 9)):
    """Truth without the last class and with void; predictions without the class before it."""
    random = np.random.default_rng(seed)
    truth = random.choice([0, 1, 2, 3, 255], (count, *size), p=[0.4, 0.3, 0.1, 0.1, 0.1]).astype(np.uint8)
    said = np.where(random.uniform(size=truth.shape) < 0.6, truth % 255 % 3, random.integers(0, 3, truth.shape))
    return truth, said.astype(np.uint8)


def by_sets(truth, said):
    """The four numbers as sets of pixels give them, with none of the code under test."""
    right = total = 0
    shares, overlaps, weighted = [], [], 0.0
    known = [(t, s) for t, s in zip(truth.ravel().tolist(), said.ravel().tolist(), strict=True) if t != 255]
    for label in range(len(NAMES)):
        true = {place for place, (t, _) in enumerate(known) if t == label}
        given = {place for place, (_, s) in enumerate(known) if s == label}
        right, total = right + len(true & given), total + len(true)
        if true:
            shares.append(len(true & given) / len(true))
            overlaps.append(len(true & given) / len(true | given))
            weighted += len(true) * overlaps[-1]
    return {
        "pixel_accuracy": right / total,
        "mean_accuracy": sum(shares) / len(shares),
        "mean_iou": sum(overlaps) / len(overlaps),
        "frequency_weighted_iou": weighted / total,
    }


@pytest.mark.parametrize("seed", range(10))
def test_numbers_are_those_of_sets(seed):
    truth, said = random_masks(seed)
    numbers, iou = summary(confusion_matrix(truth, said, len(NAMES)))
    expected = by_sets(truth, said)
    assert numbers == pytest.approx(expected, abs=1e-12)
    assert np.isnan(iou[4]) and iou[3] == 0  # never in the truth; never said


def test_by_hand():
    truth, said = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
    matrix = confusion_matrix(truth, said, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    numbers, _ = summary(matrix)
    assert numbers == pytest.approx(
        {"mean_iou": 0.5, "pixel_accuracy": 2 / 3, "mean_accuracy": 0.75, "frequency_weighted_iou": 0.5}
    )


def test_nothing_to_score_is_none_and_not_one():
    numbers, _ = summary(np.zeros((3, 3), np.int64))
    assert set(numbers.values()) == {None}
    assert mean_iou_per_image(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2))).tolist() == [1.0]


@pytest.fixture
def scored(tmp_path):
    truth, said = random_masks(3, count=6)
    for number, ids in enumerate(truth):
        make_image(tmp_path / f"{number}.png", ids.shape)
        make_mask(tmp_path / "masks" / f"{number}.png", ids)
    files = [str(tmp_path / f"{number}.png") for number in range(6)]
    masks = [str(tmp_path / "masks" / f"{number}.png") for number in range(6)]
    dataset = mask_dataset("here", "mask folders", files, masks, [""] * 6, NAMES, np.arange(5), [])
    return truth, said, dataset


def test_evaluator_over_files_in_parts(scored):
    truth, said, dataset = scored
    evaluator = SegmentationEvaluator(NAMES, bootstrap=200)
    for rows in (np.arange(4), np.arange(4, 6)):
        evaluator.update([{"mask": said[row]} for row in rows], dataset.take(rows))
    scores = evaluator.scores()
    for name, value in by_sets(truth, said).items():
        assert scores.numbers[name] == pytest.approx(value, abs=1e-12)
    low, high = scores.interval
    assert low < scores.value < high and high - low < 0.5
    each = [by_sets_of_one(truth[row], said[row]) for row in range(6)]
    assert scores.worst == np.argsort(each, kind="stable").tolist()
    assert "never" in scores.notes[0] and scores.count == 6
    assert scores.per_class[4]["iou"] is None and scores.per_class[3]["iou"] == 0 and scores.per_class[3]["count"] == 6
    table = scores.tables["confusion"]
    assert (
        sum(value for row in table for name, value in row.items() if name != "truth/predicted") == (truth != 255).sum()
    )


def by_sets_of_one(truth, said):
    known = truth != 255
    overlaps = []
    for label in range(5):
        true, given = truth[known] == label, said[known] == label
        if (true | given).any():
            overlaps.append((true & given).sum() / (true | given).sum())
    return np.mean(overlaps)


def test_without_interval_no_bootstrap_and_no_boundaries(scored):
    _, said, dataset = scored
    evaluator = SegmentationEvaluator(NAMES, bootstrap=0)
    evaluator.update([{"mask": ids} for ids in said], dataset)
    scores = evaluator.scores()
    assert scores.interval is None and "boundary_f" not in scores.numbers


def test_classes_are_matched_by_name(scored):
    truth, said, dataset = scored
    turned = tuple(reversed(NAMES))
    evaluator = SegmentationEvaluator(turned, bootstrap=0)
    evaluator.update([{"mask": (4 - ids).astype(np.uint8)} for ids in said], dataset)
    assert evaluator.scores().value == pytest.approx(by_sets(truth, said)["mean_iou"])


def test_a_prediction_of_another_size_is_named(scored):
    from retinue.configs.errors import RetinueError

    _, said, dataset = scored
    with pytest.raises(RetinueError, match="the prediction has 3 x 7 pixels"):
        SegmentationEvaluator(NAMES).update([{"mask": said[0][:, :3]}], dataset.take([0]))
