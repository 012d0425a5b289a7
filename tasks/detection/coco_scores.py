"""COCO's metrics by COCO's own code (pycocotools), and their confidence interval.

Lin et al. 2014, "Microsoft COCO", and https://cocodataset.org/#detection-eval.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pycocotools.coco import COCO

METRICS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
RECALLS = np.linspace(0, 1, 101)
MAX_WORK = 1_000_000_000  # detections times IoU thresholds times resamples, which takes about 20 seconds
MIN_RESAMPLES = 100


@dataclass
class Matches:
    """The detections of one class over all images, by descending score.

    Attributes:
        image: int64 `[d]`, the index of each detection's image.
        score: float64 `[d]`.
        true_positive: bool `[10, d]`, at the IoU thresholds 0.5, 0.55, ..., 0.95. A detection that COCO ignores at a
            threshold is neither a true nor a false positive there.
        false_positive: bool `[10, d]`.
        object_count: int64 `[images]`, the number of objects in each image that count.
    """

    image: np.ndarray
    score: np.ndarray
    true_positive: np.ndarray
    false_positive: np.ndarray
    object_count: np.ndarray


@dataclass
class CocoScores:
    """The result of COCO's evaluation.

    Attributes:
        metrics: the twelve metrics by name, None where one is undefined.
        ap: the AP of each class, None for a class without objects.
        ap50: the AP of each class at an IoU of 0.5.
        precision: float64 `[101, classes]`, at an IoU of 0.5 over RECALLS, -1 for a class without objects.
        matches: the matches of each class.
    """

    metrics: dict[str, float | None]
    ap: list[float | None]
    ap50: list[float | None]
    precision: np.ndarray
    matches: list[Matches]


def coco_scores(
    truths: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]], classes: int
) -> CocoScores:
    """Evaluate detections with pycocotools.

    Difficult objects count like all others, as in COCO's own code.

    Args:
        truths: one dict for each image, with boxes `[n, 4]`, labels int `[n]`, crowd bool `[n]`, and area `[n]` in
            square pixels, which decides whether an object is small, medium or large.
        predictions: one dict for each image, with boxes `[m, 4]`, scores `[m]` and labels int `[m]`.
        classes: number of classes.
    """
    from pycocotools.cocoeval import COCOeval

    images, categories = range(len(truths)), range(classes)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth_index, prediction_index = (_coco_index(images, categories, part) for part in (truths, predictions))
        evaluation = COCOeval(truth_index, prediction_index, "bbox")
        evaluation.params.imgIds, evaluation.params.catIds = list(images), list(categories)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # IoU, recall, class; all areas, 100 detections
    return CocoScores(
        metrics={name: _or_none(value) for name, value in zip(METRICS, evaluation.stats, strict=True)},
        ap=[_or_none(precision[:, :, label].mean()) for label in categories],
        ap50=[_or_none(precision[0, :, label].mean()) for label in categories],
        precision=precision[0],
        matches=[_class_matches(evaluation.evalImgs, label, len(truths)) for label in categories],
    )


def bootstrap_ap(matches: Sequence[Matches], resamples: int, seed: int) -> tuple[float, float, int]:
    """Compute the 95% confidence interval of AP (COCO's primary metric) by bootstrap over images.

    The match of a detection depends on its own image only. So the matches are computed once, and each resample only
    counts every image as often as it was drawn. With many detections there are fewer resamples, but at least 100.

    AP takes the best precision to the right of each recall. This is biased upwards, the more so the fewer images there
    are. A resample holds 63% of them, so its AP is too high on average, and the interval is shifted back by that bias.

    Args:
        matches: the matches of each class.
        resamples: number of resamples.
        seed: seed of the random number generator.

    Returns:
        The bounds of the interval, and the number of resamples that were used.
    """
    images = len(matches[0].object_count)
    work = sum(one.true_positive.size for one in matches)
    resamples = max(min(resamples, MAX_WORK // max(work, 1)), min(resamples, MIN_RESAMPLES))
    random = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        counts = np.bincount(random.integers(0, images, images), minlength=images)
        values.append(_mean_average_precision(matches, counts))
    value = _mean_average_precision(matches, np.ones(images, np.int64))
    bounds = np.nanpercentile(values, [2.5, 97.5]) - (np.nanmean(values) - value)
    low, high = np.clip(bounds, 0, 1).tolist()
    return low, high, resamples


def _mean_average_precision(matches: Sequence[Matches], image_counts: np.ndarray) -> float:
    """Average AP over the classes with objects. NaN if no class has any, for example if all drawn images are empty."""
    values = [average_precision(one, image_counts) for one in matches]
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else np.nan


def average_precision(matches: Matches, image_counts: np.ndarray) -> float | None:
    """Compute COCO's AP of a class, averaged over the ten IoU thresholds.

    If every image counts once, the result is that of pycocotools.

    Args:
        matches: the matches of the class.
        image_counts: int `[images]`, how often each image counts.

    Returns:
        The AP, or None without objects.
    """
    objects = int((matches.object_count * image_counts).sum())
    if not objects:
        return None
    weight = image_counts[matches.image]
    true_positives = np.cumsum(matches.true_positive * weight, axis=1, dtype=np.float64)
    detections = true_positives + np.cumsum(matches.false_positive * weight, axis=1, dtype=np.float64)
    precision = np.divide(true_positives, detections, out=np.zeros_like(true_positives), where=detections > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    total = 0.0
    for recall, best in zip(true_positives / objects, envelope, strict=True):
        index = np.searchsorted(recall, RECALLS, side="left")
        total += best[index[index < len(best)]].sum()
    return total / (len(RECALLS) * len(true_positives))


def _coco_index(images: Sequence[int], categories: Sequence[int], records: Sequence[Mapping[str, Any]]) -> "COCO":
    """Make a `COCO` index of truths or predictions. Ids start at 1, as pycocotools takes a match with 0 for none."""
    from pycocotools.coco import COCO

    annotations: list[dict[str, Any]] = []
    for image, record in zip(images, records, strict=True):
        boxes = np.asarray(record["boxes"], np.float64).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        columns = {
            "bbox": np.concatenate([boxes[:, :2], sides], axis=1),
            "area": record.get("area", sides.prod(axis=1)),
            "category_id": record["labels"],
            "iscrowd": record.get("crowd", np.zeros(len(boxes), np.int64)),
        }
        columns |= {"score": record["scores"]} if "scores" in record else {}
        rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
        for row in rows:
            entry = dict(zip(columns, row, strict=True))
            annotations.append(entry | {"id": len(annotations) + 1, "image_id": image})
    index = COCO()
    index.dataset = {
        "images": [{"id": image} for image in images],
        "annotations": annotations,
        "categories": [{"id": category} for category in categories],
    }
    index.createIndex()
    return index


def _class_matches(evaluated: Sequence[Mapping[str, Any] | None], label: int, images: int) -> Matches:
    """Collect the matches of one class.

    Args:
        evaluated: pycocotools' list over classes, four areas (the first is all) and images.
        label: the class.
        images: number of images.
    """
    of_class = evaluated[label * 4 * images : label * 4 * images + images]
    object_count = np.zeros(images, np.int64)
    image: list[int] = []
    score: list[float] = []
    true_positive, false_positive = [np.zeros((10, 0), bool)], [np.zeros((10, 0), bool)]
    for index, one in enumerate(of_class):
        if one is None:
            continue
        object_count[index] = np.count_nonzero(one["gtIgnore"] == 0)
        image += [index] * len(one["dtScores"])
        score += one["dtScores"]
        is_matched, is_ignored = one["dtMatches"] != 0, np.asarray(one["dtIgnore"], bool)
        true_positive.append(is_matched & ~is_ignored)
        false_positive.append(~is_matched & ~is_ignored)
    order = np.argsort(-np.array(score, np.float64), kind="stable")
    return Matches(
        image=np.array(image, np.int64)[order],
        score=np.array(score, np.float64)[order],
        true_positive=np.concatenate(true_positive, axis=1)[:, order],
        false_positive=np.concatenate(false_positive, axis=1)[:, order],
        object_count=object_count,
    )


def _or_none(value: float) -> float | None:
    """Return None for -1, by which pycocotools reports that there is nothing to score."""
    return None if value < 0 else float(value)
