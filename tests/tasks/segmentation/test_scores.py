"""Scores against an independent computation, pixel by pixel, on random masks with void and absent classes."""

import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.masks.folders import mask_dataset
from retinue.tasks.segmentation.scores import SegmentationEvaluator, confusion_matrix, mean_iou_per_image, summarize
from retinue.tests.helpers.mask_images import make_image, make_mask

NAMES = ("sky", "road", "car", "tree", "never")


def random_masks(seed, count=5, size=(7, 9)):
    """Make truth without the last class and with void, and predictions without the class before it."""
    random = np.random.default_rng(seed)
    truth = random.choice([0, 1, 2, 3, 255], (count, *size), p=[0.4, 0.3, 0.1, 0.1, 0.1]).astype(np.uint8)
    predicted = np.where(random.uniform(size=truth.shape) < 0.6, truth % 255 % 3, random.integers(0, 3, truth.shape))
    return truth, predicted.astype(np.uint8)


def metrics_by_sets(truth, predicted):
    """Compute the four metrics with sets of pixels, using none of the code under test."""
    correct = total = 0
    recalls, ious, weighted = [], [], 0.0
    valid = [(t, s) for t, s in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True) if t != 255]
    for label in range(len(NAMES)):
        actual = {index for index, (t, _) in enumerate(valid) if t == label}
        predicted_pixels = {index for index, (_, s) in enumerate(valid) if s == label}
        correct, total = correct + len(actual & predicted_pixels), total + len(actual)
        if actual:
            recalls.append(len(actual & predicted_pixels) / len(actual))
            ious.append(len(actual & predicted_pixels) / len(actual | predicted_pixels))
            weighted += len(actual) * ious[-1]
    return {
        "pixel_accuracy": correct / total,
        "mean_accuracy": sum(recalls) / len(recalls),
        "mean_iou": sum(ious) / len(ious),
        "frequency_weighted_iou": weighted / total,
    }


@pytest.mark.parametrize("seed", range(10))
def test_metrics_equal_those_of_pixel_sets(seed):
    truth, predicted = random_masks(seed)
    numbers, iou = summarize(confusion_matrix(truth, predicted, len(NAMES)))
    expected = metrics_by_sets(truth, predicted)
    assert numbers == pytest.approx(expected, abs=1e-12)
    assert np.isnan(iou[4]) and iou[3] == 0  # class 4 is not in the truth; class 3 is never predicted


def test_metrics_by_hand():
    truth, predicted = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
    matrix = confusion_matrix(truth, predicted, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    numbers, _ = summarize(matrix)
    assert numbers == pytest.approx(
        {"mean_iou": 0.5, "pixel_accuracy": 2 / 3, "mean_accuracy": 0.75, "frequency_weighted_iou": 0.5}
    )


def test_metrics_without_pixels_are_none():
    numbers, _ = summarize(np.zeros((3, 3), np.int64))
    assert set(numbers.values()) == {None}
    assert mean_iou_per_image(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2))).tolist() == [1.0]


@pytest.fixture
def scored(tmp_path):
    truth, predicted = random_masks(3, count=6)
    for number, ids in enumerate(truth):
        make_image(tmp_path / f"{number}.png", ids.shape)
        make_mask(tmp_path / "masks" / f"{number}.png", ids)
    files = [str(tmp_path / f"{number}.png") for number in range(6)]
    masks = [str(tmp_path / "masks" / f"{number}.png") for number in range(6)]
    dataset = mask_dataset("here", "mask folders", files, masks, [""] * 6, NAMES, np.arange(5), [])
    return truth, predicted, dataset


def test_evaluator_with_two_updates(scored):
    truth, predicted, dataset = scored
    evaluator = SegmentationEvaluator(NAMES, bootstrap_samples=200)
    for rows in (np.arange(4), np.arange(4, 6)):
        evaluator.update([{"mask": predicted[row]} for row in rows], dataset.take(rows))
    scores = evaluator.scores()
    for name, value in metrics_by_sets(truth, predicted).items():
        assert scores.metrics[name] == pytest.approx(value, abs=1e-12)
    low, high = scores.interval
    assert low < scores.value < high and high - low < 0.5
    image_ious = [mean_iou_of_image(truth[row], predicted[row]) for row in range(6)]
    assert scores.worst == np.argsort(image_ious, kind="stable").tolist()
    assert "never" in scores.notes[0] and scores.count == 6
    assert scores.per_class[4]["iou"] is None and scores.per_class[3]["iou"] == 0 and scores.per_class[3]["count"] == 6
    table = scores.tables["confusion"]
    assert (
        sum(value for row in table for name, value in row.items() if name != "truth/predicted") == (truth != 255).sum()
    )


def mean_iou_of_image(truth, predicted):
    valid = truth != 255
    ious = []
    for label in range(5):
        actual, predicted_pixels = truth[valid] == label, predicted[valid] == label
        if (actual | predicted_pixels).any():
            ious.append((actual & predicted_pixels).sum() / (actual | predicted_pixels).sum())
    return np.mean(ious)


def test_without_bootstrap_there_is_no_interval_and_no_boundary_score(scored):
    _, predicted, dataset = scored
    evaluator = SegmentationEvaluator(NAMES, bootstrap_samples=0)
    evaluator.update([{"mask": ids} for ids in predicted], dataset)
    scores = evaluator.scores()
    assert scores.interval is None and "boundary_f" not in scores.metrics


def test_classes_are_matched_by_name(scored):
    truth, predicted, dataset = scored
    reordered = tuple(reversed(NAMES))
    evaluator = SegmentationEvaluator(reordered, bootstrap_samples=0)
    evaluator.update([{"mask": (4 - ids).astype(np.uint8)} for ids in predicted], dataset)
    assert evaluator.scores().value == pytest.approx(metrics_by_sets(truth, predicted)["mean_iou"])


def test_a_prediction_of_another_size_is_an_error(scored):
    _, predicted, dataset = scored
    with pytest.raises(RetinueError, match="the prediction has 3 x 7 pixels"):
        SegmentationEvaluator(NAMES).update([{"mask": predicted[0][:, :3]}], dataset.take([0]))


def test_true_masks_of_another_size_are_resized_if_the_setting_says_so(tmp_path):
    image = make_image(tmp_path / "a.png", (4, 6))
    mask = make_mask(tmp_path / "mask.png", [[0, 1, 1], [0, 0, 2]])
    dataset = mask_dataset("", "", [str(image)], [mask], [""], NAMES, range(5), [])
    predicted = np.repeat(np.repeat(np.array([[0, 1, 1], [0, 0, 2]], np.uint8), 2, axis=0), 2, axis=1)
    evaluator = SegmentationEvaluator(NAMES, bootstrap_samples=0, resize_masks=True)
    evaluator.update([{"mask": predicted}], dataset)
    assert evaluator.scores().value == 1
    with pytest.raises(RetinueError, match="same aspect ratio"):
        SegmentationEvaluator(NAMES).update([{"mask": predicted}], dataset)
