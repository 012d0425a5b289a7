"""COCO's metrics against pycocotools, called as its users call it, and the other metrics against values by hand."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.readers.objects import object_columns
from retinue.tasks.detection.coco_scores import METRICS, Matches, average_precision, bootstrap_ap, coco_scores
from retinue.tasks.detection.error_summary import FALSE_POSITIVE, IGNORED, assign_detections
from retinue.tasks.detection.proposal_recall import proposal_recall
from retinue.tasks.detection.scores import DetectionEvaluator, best_threshold


def dataset(truths, classes=("cat", "dog", "elk"), source="data"):
    """From a list with one dict for each image: boxes, labels, and optionally crowd, difficult and area."""
    rows = np.repeat(np.arange(len(truths)), [len(truth["labels"]) for truth in truths])

    def column(name, default):
        return [value for truth in truths for value in truth.get(name, [default] * len(truth["labels"]))]

    flags = {name: column(name, False) for name in ("crowd", "difficult")}
    area = column("area", 0.0) if any("area" in truth for truth in truths) else None
    columns = object_columns(
        rows,
        column("boxes", None),
        column("labels", None),
        np.arange(len(rows)),
        range(len(truths)),
        area=area,
        **flags,
    )
    files = [f"{row}.jpg" for row in range(len(truths))]
    return Dataset("detection", files, classes, columns, source=source, format="coco")


def prediction(boxes=(), scores=(), labels=()):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "scores": np.array(scores, np.float32),
        "labels": np.array(labels, np.int32),
    }


def random_boxes(random, count):
    first = random.uniform(0, 200, (count, 2))
    sides = np.exp(random.uniform(1, 5.5, (count, 2)))
    return np.concatenate([first, first + sides], axis=1).astype(np.float32)


def random_case(seed):
    """Images with crowds, without objects, without detections, with more than 100 detections, with equal scores."""
    random = np.random.default_rng(seed)
    truths, predictions = [], []
    for _ in range(random.integers(1, 5)):
        count = int(random.integers(0, 8))
        boxes, labels = random_boxes(random, count), random.integers(0, 3, count)
        truth = {"boxes": boxes, "labels": labels, "crowd": random.uniform(size=count) < 0.15}
        if seed % 3 == 0:
            truth["area"] = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * random.uniform(0.3, 1, count).astype(
                np.float32
            )
        truths.append(truth)
        copies = np.repeat(boxes, random.integers(0, 3), axis=0)
        shifted = copies + random.normal(0, 4, copies.shape).astype(np.float32)
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 1)
        noise = random_boxes(random, int(random.choice([0, 3, 120 if seed % 7 == 0 else 10])))
        all_boxes = np.concatenate([shifted, noise]).astype(np.float32)
        scores = random.uniform(0, 1, len(all_boxes)).round(1 if seed % 2 else 5)
        object_labels = np.resize(labels, len(shifted)) if count else np.zeros(0, int)
        predictions.append(
            prediction(
                all_boxes, scores, np.concatenate([object_labels, random.integers(0, 3, len(noise))]).astype(int)
            )
        )
    return truths, predictions


def call_pycocotools(truths, predictions):
    """The twelve metrics and the AP of each class by pycocotools, from dicts as in COCO's files."""
    annotations, results = [], []
    for image, (truth, predicted) in enumerate(zip(truths, predictions, strict=True)):
        crowd = truth.get("crowd", np.zeros(len(truth["labels"]), bool))
        for index, (box, label) in enumerate(zip(truth["boxes"], truth["labels"], strict=True)):
            x1, y1, x2, y2 = map(float, box)
            area = float(truth["area"][index]) if "area" in truth else (x2 - x1) * (y2 - y1)
            entry = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": int(crowd[index])}
            ids = {"id": len(annotations) + 1, "image_id": image + 10, "category_id": int(label) * 5 + 2}
            annotations.append(entry | ids)
        for box, score, label in zip(predicted["boxes"], predicted["scores"], predicted["labels"], strict=True):
            x1, y1, x2, y2 = map(float, box)
            entry = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": float(score)}
            results.append(entry | {"image_id": image + 10, "category_id": int(label) * 5 + 2})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image + 10} for image in range(len(truths))],
            "annotations": annotations,
            "categories": [{"id": label * 5 + 2} for label in range(3)],
            "info": {},
        }
        coco.createIndex()
        detections = coco.loadRes(results) if results else COCO()
        if not results:
            detections.dataset = {"images": coco.dataset["images"], "annotations": [], "categories": []}
            detections.createIndex()
        evaluation = COCOeval(coco, detections, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))


def test_the_twelve_metrics_are_those_of_pycocotools_on_200_random_cases():
    scored_cases = 0
    for seed in range(200):
        truths, predictions = random_case(seed)
        expected, per_class = call_pycocotools(truths, predictions)
        evaluator = DetectionEvaluator(("cat", "dog", "elk"), bootstrap_samples=0)
        evaluator.update(predictions, dataset(truths))
        if not sum((~truth["crowd"]).sum() for truth in truths):
            with pytest.raises(RetinueError, match="there is no annotated object in the"):
                evaluator.scores()
            continue
        scores, scored_cases = evaluator.scores(), scored_cases + 1
        for name, value in zip(METRICS, expected, strict=True):
            assert (-1 if scores.metrics[name] is None else scores.metrics[name]) == pytest.approx(value, abs=1e-6), (
                seed
            )
        for row, value in zip(scores.per_class, per_class, strict=True):
            assert (-1 if row["ap"] is None else row["ap"]) == pytest.approx(value, abs=1e-6)
        # The bootstrap's own AP, with every image counted once, is the same number.
        matches = coco_scores(evaluator._truths, evaluator._predictions, 3).matches
        once = [average_precision(one, np.ones(len(truths), int)) for one in matches]
        assert np.mean([value for value in once if value is not None]) == pytest.approx(expected[0], abs=1e-6)
    assert scored_cases > 150


BOX, FAR = [0, 0, 40, 40], [100, 100, 140, 140]


def evaluate(truths, predictions, classes=("cat", "dog", "elk"), **options):
    evaluator = DetectionEvaluator(classes, **({"bootstrap_samples": 0} | options))
    evaluator.update(predictions, dataset(truths, classes))
    return evaluator.scores()


def test_perfect_predictions_and_no_predictions():
    truths = [{"boxes": [BOX, FAR], "labels": [0, 1]}, {"boxes": [], "labels": []}]
    perfect = evaluate(truths, [prediction([BOX, FAR], [0.9, 0.8], [0, 1]), prediction()])
    assert perfect.primary_metric == "ap" and perfect.value == pytest.approx(1)
    assert [perfect.metrics[name] for name in ("voc07_ap50", "voc10_ap50", "precision", "recall", "f1")] == [1] * 5
    assert perfect.metrics["ap_small"] is None and perfect.count == 2 and perfect.worst == []
    assert perfect.metrics["best_threshold"] == pytest.approx(0.8)
    assert perfect.verdict.startswith("Detects 2 of 2 objects, and 2 of its 2 boxes are right (boxes with a score of")
    assert perfect.notes == ["1 class has no object in these files and has no part in the means: “elk”."]
    first = {"recall": 0, "all classes": 1, "cat": 1, "dog": 1}
    assert perfect.tables["precision_recall"][0] == pytest.approx(first)
    nothing = evaluate(truths, [prediction(), prediction()])
    assert nothing.value == 0 and nothing.verdict == "Detects none of 2 objects."
    assert nothing.worst == [0] and nothing.metrics["precision"] == 0
    unknown = dict.fromkeys(("ap", "ap50", "precision", "recall", "f1"))
    assert nothing.per_class[2] == {"class": "elk", "count": 0, "predicted": 0} | unknown


def test_confusion_matrix_and_the_images_with_the_most_mistakes():
    truths = [
        {"boxes": [BOX, FAR], "labels": [0, 1]},
        {"boxes": [BOX], "labels": [1]},
        {"boxes": [BOX, [50, 50, 90, 90]], "labels": [2, 0], "crowd": [False, True]},
    ]
    predictions = [
        prediction([BOX, BOX, FAR], [0.9, 0.85, 0.8], [0, 0, 1]),  # right, a duplicate, right
        prediction([BOX, FAR], [0.9, 0.95], [0, 1]),  # the wrong class, a false positive
        prediction([[50, 50, 60, 60], FAR], [0.9, 0.01], [0, 2]),  # in a crowd; below the best threshold
    ]
    scores = evaluate(truths, predictions)
    assert scores.metrics["best_threshold"] == pytest.approx(0.8)
    assert scores.tables["confusion"] == [
        {"truth/predicted": "cat", "cat": 1, "dog": 0, "elk": 0, "false negative": 0},
        {"truth/predicted": "dog", "cat": 1, "dog": 1, "elk": 0, "false negative": 0},
        {"truth/predicted": "elk", "cat": 0, "dog": 0, "elk": 0, "false negative": 1},
        {"truth/predicted": "false positive", "cat": 1, "dog": 1, "elk": 0, "false negative": 0},
    ]
    assert scores.worst == [1, 0, 2]
    assert (scores.metrics["precision"], scores.metrics["recall"]) == (2 / 5, 2 / 4)
    cat = scores.per_class[0]
    assert (cat["count"], cat["predicted"], cat["precision"], cat["recall"]) == (1, 3, 1 / 3, 1)
    assert "2 of its 5 boxes are right; 1 has the wrong class" in scores.verdict
    assert scores.worst_classes == [
        "  elk  AP 0.00, recall 0%, precision 0%",
        "  dog  AP 0.25, recall 50%, precision 50%",
        "  cat  AP 1.00, recall 100%, precision 33%",
    ]


def test_difficult_objects_count_for_coco_only():
    truths = [{"boxes": [BOX, FAR], "labels": [0, 0], "difficult": [False, True]}]
    scores = evaluate(truths, [prediction([BOX], [0.9], [0])])
    assert scores.metrics["ap50"] == pytest.approx(51 / 101)  # recall ends at 0.5
    assert scores.metrics["voc07_ap50"] == scores.metrics["recall"] == 1
    assert scores.notes[-1].startswith("1 object is marked as difficult: COCO's metrics")


def test_detections_are_assigned_to_objects_of_their_class_first():
    truth = np.array([BOX, [30, 0, 70, 40], FAR], np.float32)
    near = [1, 1, 41, 41]
    boxes = np.array([BOX, near, FAR, FAR, [300, 300, 310, 310]], np.float32)

    def assign(labels, scores=(0.9, 0.8, 0.7, 0.6, 0.5), ignored=(False, False, False)):
        return assign_detections(boxes, scores, labels, truth, [0, 1, 2], ignored).tolist()

    assert assign([0, 0, 2, 2, 0]) == [0, FALSE_POSITIVE, 2, FALSE_POSITIVE, FALSE_POSITIVE]
    assert assign([1, 0, 0, 2, 0]) == [
        FALSE_POSITIVE,
        0,
        FALSE_POSITIVE,
        2,
        FALSE_POSITIVE,
    ]  # the class matters more than the score
    assert assign([1, 1, 0, 1, 0]) == [
        0,
        FALSE_POSITIVE,
        2,
        FALSE_POSITIVE,
        FALSE_POSITIVE,
    ]  # the better one is the confusion
    assert assign([0, 0, 2, 2, 0], ignored=(False, False, True))[2:4] == [IGNORED, IGNORED]
    assert assign_detections(np.zeros((0, 4)), [], [], truth, [0, 1, 2], [False] * 3).tolist() == []
    names = assign_detections(boxes[:1], [0.9], np.array(["cat"]), truth, np.array(["dog", "cat", "cat"]), [False] * 3)
    assert names.tolist() == [0]


def test_the_best_threshold_counts_equal_scores_together():
    truths = [{"boxes": [BOX, FAR], "labels": [0, 0]}]
    predicted = prediction([BOX, FAR, [200, 0, 240, 40], [300, 0, 340, 40]], [0.9, 0.5, 0.5, 0.4], [0, 0, 0, 0])
    evaluator = DetectionEvaluator(("cat",), bootstrap_samples=0)
    evaluator.update([predicted], dataset(truths, ("cat",)))
    matches = coco_scores(evaluator._truths, evaluator._predictions, 1).matches
    assert best_threshold(matches) == pytest.approx(0.5)  # F1 2/3, 4/5 and 2/3


def test_the_interval_is_that_of_the_binomial_distribution():
    truths = [{"boxes": [BOX], "labels": [0]} for _ in range(40)]
    predictions = [prediction(*(([BOX], [0.8]) if row % 2 else ([FAR], [0.9])), [0]) for row in range(40)]
    scores = evaluate(truths, predictions, ("cat",), bootstrap_samples=300, seed=1)
    low, high = scores.interval
    # Recall and precision both equal the fraction p of right images; AP is then p times the recalls up to p.
    assert low < scores.value < high
    assert scores.value == pytest.approx(0.5 * 51 / 101, abs=1e-6)
    fraction = np.random.default_rng(0).binomial(40, 0.5, 20000) / 40
    expected = np.percentile(fraction * (np.floor(100 * fraction) + 1) / 101, [2.5, 97.5])
    np.testing.assert_allclose([low, high], expected, atol=0.04)
    assert evaluate(truths, predictions, ("cat",), bootstrap_samples=300, seed=1).interval == scores.interval
    all_right = evaluate(truths, [prediction([BOX], [0.9], [0])] * 40, ("cat",), bootstrap_samples=50)
    assert all_right.interval == (1, 1)


def test_the_interval_is_centered_on_the_value_though_resamples_are_biased():
    """Random true positives make the best precision to the right larger by chance, and more so in a resample."""
    random, images, classes = np.random.default_rng(0), 100, 30
    matches = []
    for label in range(classes):
        image = random.permutation(np.repeat(np.arange(label, images, classes), 6))
        true_positive = np.tile(random.uniform(size=len(image)) < 0.25, (10, 1))
        objects = np.where(np.arange(images) % classes == label, 2, 0)
        scores = np.sort(random.uniform(size=len(image)))[::-1]
        matches.append(Matches(image, scores, true_positive, ~true_positive, objects))
    value = np.mean([average_precision(one, np.ones(images, int)) for one in matches])
    low, high, _ = bootstrap_ap(matches, 200, 0)
    # Without the correction, the percentiles of the resamples are from 0.03 below to 0.09 above the value.
    assert abs((low + high) / 2 - value) < 0.01


def test_there_are_fewer_resamples_with_many_detections(monkeypatch):
    monkeypatch.setattr("retinue.tasks.detection.coco_scores.MAX_WORK", 1)
    evaluator = DetectionEvaluator(("cat",), bootstrap_samples=0)
    evaluator.update([prediction([BOX], [0.9], [0])], dataset([{"boxes": [BOX], "labels": [0]}], ("cat",)))
    matches = coco_scores(evaluator._truths, evaluator._predictions, 1).matches
    assert bootstrap_ap(matches, 2000, 0) == (1, 1, 100)
    assert bootstrap_ap(matches, 30, 0) == (1, 1, 30)


def test_classes_are_matched_by_name_and_unknown_classes_are_an_error():
    truths = [{"boxes": [BOX], "labels": [1]}]
    evaluator = DetectionEvaluator(("dog", "cat"), bootstrap_samples=0)
    evaluator.update([prediction([BOX], [0.9], [0])], dataset(truths, ("bird", "dog")))  # no bird in it
    assert evaluator.scores().value == pytest.approx(1)
    with pytest.raises(RetinueError, match="birds.json: the model does not know the class “bird”; it knows “dog”"):
        evaluator.update([prediction()], dataset([{"boxes": [BOX], "labels": [0]}], ("bird",), "birds.json"))


def test_evaluation_needs_objects_and_finite_numbers():
    evaluator = DetectionEvaluator(("cat",))
    with pytest.raises(RetinueError, match="no annotated object in the 0 files"):
        evaluator.scores()
    one = dataset([{"boxes": [BOX], "labels": [0]}], ("cat",))
    with pytest.raises(ValueError, match="2 predictions for 1 files"):
        evaluator.update([prediction()] * 2, one)
    with pytest.raises(RetinueError, match="0.jpg: the model predicts boxes or scores that are not finite"):
        evaluator.update([prediction([[0, 0, np.nan, 1]], [0.5], [0])], one)


def test_proposal_recall_equals_values_computed_by_hand():
    truths = [{"boxes": [BOX, FAR], "ignored": [False, False]}, {"boxes": [BOX], "ignored": [True]}, {"boxes": []}]
    close = [0, 0, 40, 30]  # IoU 0.75
    proposals = [np.array([[200, 200, 210, 210], close, FAR]), np.zeros((0, 4)), np.array([BOX])]
    rows = proposal_recall(proposals, truths, (1, 2, 3))
    assert [row["recall"] for row in rows] == [0, 0.5, 1]
    assert [row["average_recall"] for row in rows] == pytest.approx([0, 0.3, 0.8])  # 0.75 passes 6 of 10 thresholds
    assert [row["proposals"] for row in proposal_recall([], [])] == [50, 100, 300, 1000]
    assert proposal_recall([], [])[0]["recall"] is None
