"""COCO's scores by COCO's own code (pycocotools), and their spread when other pictures had been drawn.

Lin et al. 2014, "Microsoft COCO", and https://cocodataset.org/#detection-eval.
"""

import contextlib
import io
from dataclasses import dataclass

import numpy as np

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
NAMES += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")
RECALLS = np.linspace(0, 1, 101)
MOST_WORK = 1_000_000_000  # detections times thresholds times resamples: about 20 seconds
FEWEST = 100  # resamples


@dataclass
class CocoScores:
    """What COCO's evaluation says.

    numbers: the twelve, None where undefined. ap, ap50: lists, a class each, None for a class without objects.
    precision: float64 `[101, classes]` at an overlap of 0.5 over RECALLS, -1 for a class without objects.
    matches: a `Matches` a class.
    """

    numbers: dict
    ap: list
    ap50: list
    precision: np.ndarray
    matches: list


@dataclass
class Matches:
    """The detections of one class, falling by score, those that are neither right nor wrong left out per threshold.

    image: int64 `[d]`; score: float64 `[d]`; hit, miss: bool `[10, d]` at the overlaps 0.5, 0.55, ..., 0.95;
    objects: int64 `[images]`, how many there are to find in each.
    """

    image: np.ndarray
    score: np.ndarray
    hit: np.ndarray
    miss: np.ndarray
    objects: np.ndarray


def coco_scores(truths, predictions, classes):
    """Evaluate with pycocotools.

    truths: a dict a picture, with boxes `[n, 4]`, labels `[n]`, crowd bool `[n]`, area `[n]` (decides what is small,
    medium and large); predictions: a dict a picture with boxes `[m, 4]`, scores `[m]`, labels `[m]`. classes: how many.
    Difficult objects are objects like others here, as in COCO's own code.
    """
    from pycocotools.cocoeval import COCOeval

    images, categories = range(len(truths)), range(classes)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress with print
        evaluation = COCOeval(_as_coco(images, categories, truths), _as_coco(images, categories, predictions), "bbox")
        evaluation.params.imgIds, evaluation.params.catIds = list(images), list(categories)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # overlaps, recalls, classes; all areas, 100 detections
    return CocoScores(
        numbers={name: _defined(value) for name, value in zip(NAMES, evaluation.stats, strict=True)},
        ap=[_defined(precision[:, :, label].mean()) for label in categories],
        ap50=[_defined(precision[0, :, label].mean()) for label in categories],
        precision=precision[0],
        matches=[_matches(evaluation.evalImgs, label, len(truths)) for label in categories],
    )


def bootstrap_ap(matches, resamples, seed):
    """(low, high, resamples done): the 95% interval of AP (COCO's headline) when pictures are drawn with replacement.

    A detection's match depends on its own picture alone, so the matches are made once and each resample only counts
    every picture as often as it was drawn. Many detections make fewer resamples, but at least 100.
    AP takes the best precision to the right of each recall, which gains the more by chance the fewer pictures there
    are; a resample holds 63% of them, so its AP is too high on average, and the interval is moved back by that much.
    """
    images = len(matches[0].objects)
    work = sum(found.hit.size for found in matches)
    resamples = max(min(resamples, MOST_WORK // max(work, 1)), min(resamples, FEWEST))
    random = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        times = np.bincount(random.integers(0, images, images), minlength=images)
        values.append(_mean_average_precision(matches, times))
    value = _mean_average_precision(matches, np.ones(images, np.int64))
    bounds = np.nanpercentile(values, [2.5, 97.5]) - (np.nanmean(values) - value)
    low, high = np.clip(bounds, 0, 1).tolist()
    return low, high, resamples


def _mean_average_precision(matches, times):
    """Over the classes that have objects; NaN where none has, as when only empty pictures were drawn."""
    of_classes = [average_precision(found, times) for found in matches]
    defined = [value for value in of_classes if value is not None]
    return np.mean(defined) if defined else np.nan


def average_precision(found, times):
    """COCO's AP of a class over the ten overlaps, each picture counted `times`, int `[images]`; None without objects.

    found: `Matches`. With all times 1 it is what pycocotools gives.
    """
    objects = int((found.objects * times).sum())
    if not objects:
        return None
    weight = times[found.image]
    hits = np.cumsum(found.hit * weight, axis=1, dtype=np.float64)
    said = hits + np.cumsum(found.miss * weight, axis=1, dtype=np.float64)
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    total = 0.0
    for recall, best in zip(hits / objects, envelope, strict=True):
        place = np.searchsorted(recall, RECALLS, side="left")
        total += best[place[place < len(best)]].sum()
    return total / (len(RECALLS) * len(hits))


def _as_coco(images, categories, parts):
    """A `COCO` index of truths or predictions. Ids begin at 1: pycocotools takes a match with 0 for none."""
    from pycocotools.coco import COCO

    annotations = []
    for image, part in zip(images, parts, strict=True):
        boxes = np.asarray(part["boxes"], np.float64).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        columns = {
            "bbox": np.concatenate([boxes[:, :2], sides], axis=1),
            "area": part.get("area", sides.prod(axis=1)),
            "category_id": part["labels"],
            "iscrowd": part.get("crowd", np.zeros(len(boxes), np.int64)),
        }
        columns |= {"score": part["scores"]} if "scores" in part else {}
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


def _matches(evaluated, label, images):
    """`evaluated`: pycocotools' list over classes, four areas (the first is all) and images."""
    parts = evaluated[label * 4 * images : label * 4 * images + images]
    objects = np.zeros(images, np.int64)
    image, score, hit, miss = [], [], [np.zeros((10, 0), bool)], [np.zeros((10, 0), bool)]
    for number, part in enumerate(parts):
        if part is None:
            continue
        objects[number] = np.count_nonzero(part["gtIgnore"] == 0)
        image += [number] * len(part["dtScores"])
        score += part["dtScores"]
        matched, ignored = part["dtMatches"] != 0, np.asarray(part["dtIgnore"], bool)
        hit.append(matched & ~ignored)
        miss.append(~matched & ~ignored)
    order = np.argsort(-np.array(score, np.float64), kind="stable")
    return Matches(
        image=np.array(image, np.int64)[order],
        score=np.array(score, np.float64)[order],
        hit=np.concatenate(hit, axis=1)[:, order],
        miss=np.concatenate(miss, axis=1)[:, order],
        objects=objects,
    )


def _defined(value):
    """None for -1, with which pycocotools says that there is nothing to score."""
    return None if value < 0 else float(value)
