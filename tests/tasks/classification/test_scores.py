import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset, Ragged
from retinue.tasks.classification import metrics
from retinue.tasks.classification.scores import ClassificationEvaluator
from retinue.tasks.confusion_matrix import confusion_section

NAMES = ("ant", "bee", "cat")


def single_label(labels, classes=NAMES):
    files = [f"{index}.png" for index in range(len(labels))]
    return Dataset("classification", files, classes, {"label": np.array(labels, np.int64)})


def multi_label(rows, classes=NAMES):
    files = [f"{index}.png" for index in range(len(rows))]
    return Dataset("classification", files, classes, {"labels": Ragged.from_rows(rows, np.int64)})


def evaluate(scores, dataset, **options):
    evaluator = ClassificationEvaluator(dataset.classes, dataset.multi_label, **options)
    evaluator.update([{"scores": np.array(row, np.float32)} for row in scores], dataset)
    return evaluator.scores()


def random_single_label(count=60, classes=7, seed=3):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    scores = generator.random((count, classes)) + 0.8 * np.eye(classes)[labels]
    return scores / scores.sum(axis=1, keepdims=True), single_label(labels, tuple("abcdefg"[:classes]))


# Rows: ant is correct, ant is confused with bee, bee is correct, cat is confused with ant.
SCORES = [[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]
TRUTH = [0, 0, 1, 2]


def test_single_label_numbers_by_hand():
    scores = evaluate(SCORES, single_label(TRUTH))
    assert (scores.primary_metric, scores.value, scores.count) == ("accuracy", 0.5, 4)
    numbers = scores.metrics
    assert "top5" not in numbers  # of three classes it is meaningless
    assert numbers["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert numbers["macro_recall"] == numbers["balanced_accuracy"]
    assert numbers["macro_precision"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)  # cat was never predicted
    assert numbers["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert numbers["log_loss"] == pytest.approx(-np.log([0.7, 0.2, 0.8, 0.05]).mean(), rel=1e-6)
    assert scores.verdict == "Correct on 2 of 4 files. Always predicting “ant” would be correct on 50.0%."
    assert scores.notes == []


def test_single_label_tables_by_hand():
    scores = evaluate(SCORES, single_label(TRUTH))
    assert scores.tables["confusion"] == [
        {"truth/predicted": "ant", "ant": 1, "bee": 1, "cat": 0},
        {"truth/predicted": "bee", "ant": 0, "bee": 1, "cat": 0},
        {"truth/predicted": "cat", "ant": 1, "bee": 0, "cat": 0},
    ]
    ant, bee, cat = scores.per_class
    assert ant == {
        "class": "ant", "count": 2, "predicted": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5,
        "confidence": pytest.approx(0.6), "most_confused_with": "bee",
    }  # fmt: skip
    assert (bee["precision"], bee["recall"], bee["f1"], bee["most_confused_with"]) == (
        0.5,
        1.0,
        pytest.approx(2 / 3),
        None,
    )
    assert (cat["precision"], cat["recall"], cat["f1"], cat["most_confused_with"]) == (None, 0.0, 0.0, "ant")
    assert scores.worst == [3, 1]  # only the wrong ones, the most confident first


def test_predicting_always_the_same_class_has_a_low_mean_precision():
    scores = evaluate([[0.8, 0.1, 0.1]] * 3, single_label([0, 1, 2]))
    # scikit-learn's macro average with zero_division=0: (1/3 + 0 + 0) / 3.
    assert scores.metrics["macro_precision"] == pytest.approx(1 / 9)
    assert scores.metrics["macro_f1"] == pytest.approx(0.5 / 3)
    assert [row["precision"] for row in scores.per_class] == [pytest.approx(1 / 3), None, None]
    assert scores.notes == []


def test_a_class_without_files_is_undefined_and_omitted_from_means():
    scores = evaluate([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]], single_label([0, 1]))
    cat = scores.per_class[2]
    assert (cat["count"], cat["predicted"], cat["precision"], cat["recall"]) == (0, 1, 0.0, None)
    assert cat["confidence"] is None
    assert scores.metrics["balanced_accuracy"] == 0.5
    assert scores.metrics["macro_f1"] == 0.5  # of ant 1 and bee 0; cat is no class of this split
    assert scores.notes == ["The class “cat” has no scored file; the means over classes omit it."]


def test_many_missing_classes_are_counted_and_only_some_named():
    classes = tuple(f"c{index}" for index in range(9))
    notes = evaluate([np.eye(9)[0]], single_label([0], classes), bootstrap_samples=0).notes
    named = "“c1”, “c2”, “c3”, “c4”, “c5” and 3 more"
    assert notes == [f"8 classes have no scored file ({named}); the means over classes omit them."]


def test_top5_ranks_ties_like_argmax():
    classes = tuple("abcdef")
    equal = [[1 / 6] * 6] * 2
    scores = evaluate(equal, single_label([4, 5], classes))
    assert scores.metrics["top5"] == 0.5  # of equal scores the first five classes count as the best
    assert evaluate(equal, single_label([0, 0], classes)).metrics["accuracy"] == 1.0


def test_calibration_error_by_hand():
    # Two predictions at 0.9, one of them correct; one at 0.6, correct: 2/3 |0.5 - 0.9| + 1/3 |1 - 0.6|.
    rows, error = metrics.calibration(np.array([0.9, 0.9, 0.6], np.float32), np.array([True, False, True]))
    assert error == pytest.approx(0.4)
    assert len(rows) == 15
    assert rows[13] == {"low": 13 / 15, "high": 14 / 15, "count": 2, "confidence": pytest.approx(0.9), "accuracy": 0.5}
    assert rows[0] == {"low": 0.0, "high": 1 / 15, "count": 0, "confidence": None, "accuracy": None}


def test_calibration_bins_are_open_below_and_closed_above():
    edges = (np.arange(16) / 15).astype(np.float32)
    counts = [row["count"] for row in metrics.calibration(edges, np.ones(16, bool))[0]]
    assert counts == [2] + [1] * 14  # 0 has no bin below it and joins the first


def test_scores_do_not_depend_on_the_order_and_number_of_updates():
    scores, dataset = random_single_label()
    expected_scores = evaluate(scores, dataset)
    order = np.random.default_rng(0).permutation(len(dataset))
    reordered = evaluate(scores[order], dataset.take(order))
    assert reordered.interval == expected_scores.interval
    assert reordered.metrics == pytest.approx(expected_scores.metrics)
    assert reordered.tables["confusion"] == expected_scores.tables["confusion"]
    assert [order[row] for row in reordered.worst] == expected_scores.worst

    evaluator = ClassificationEvaluator(dataset.classes)
    for rows in (np.arange(25), np.arange(0), np.arange(25, 60)):
        evaluator.update([{"scores": scores[row].astype(np.float32)} for row in rows], dataset.take(rows))
    in_steps = evaluator.scores()
    assert (in_steps.metrics, in_steps.worst, in_steps.per_class) == (
        expected_scores.metrics,
        expected_scores.worst,
        expected_scores.per_class,
    )


def test_scores_of_perfect_and_of_all_wrong_predictions():
    labels = np.arange(40) % 3
    perfect = evaluate(np.eye(3)[labels], single_label(labels))
    assert perfect.value == perfect.metrics["macro_f1"] == perfect.metrics["balanced_accuracy"] == 1.0
    assert perfect.metrics["log_loss"] == perfect.metrics["calibration_error"] == 0.0
    assert (perfect.interval, perfect.worst) == ((1.0, 1.0), [])
    assert (
        "40 files prove" in perfect.notes[0] and "at least 92.8% of such files" in perfect.notes[0]
    )  # 0.05 ** (1 / 40)

    wrong = evaluate(np.eye(3)[(labels + 1) % 3], single_label(labels))
    assert wrong.value == wrong.metrics["macro_f1"] == wrong.metrics["macro_precision"] == 0.0
    assert wrong.metrics["calibration_error"] == 1.0
    assert np.isfinite(wrong.metrics["log_loss"])  # although the truth had a score of 0
    assert wrong.worst == list(range(40))
    assert wrong.interval == (0.0, 0.0) and "at most 7.2% of such files" in wrong.notes[0]


def test_scores_of_one_file():
    scores = evaluate([[0.2, 0.7, 0.1]], single_label([1]))
    assert (scores.value, scores.interval, scores.count) == (1.0, (1.0, 1.0), 1)
    assert scores.verdict == "Correct on 1 of 1 file."


def test_interval_has_the_theoretical_width_and_depends_on_the_seed():
    labels = np.zeros(400, int)
    scores = np.eye(3)[(np.arange(400) % 5 == 0).astype(int)]  # 80% correct
    low, high = evaluate(scores, single_label(labels)).interval
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert low == pytest.approx(0.8 - half, abs=0.006)
    assert high == pytest.approx(0.8 + half, abs=0.006)
    assert evaluate(scores, single_label(labels)).interval == (low, high)
    assert evaluate(scores, single_label(labels), bootstrap_samples=0).interval is None
    draws = [evaluate(scores, single_label(labels), bootstrap_samples=20, seed=seed).interval for seed in (1, 2)]
    assert draws[0] != draws[1]


def test_classes_are_matched_by_name():
    reordered = single_label([2, 2, 1, 0], classes=("cat", "bee", "ant"))
    evaluator = ClassificationEvaluator(NAMES)
    evaluator.update([{"scores": np.array(row, np.float32)} for row in SCORES], reordered)
    assert evaluator.scores().tables == evaluate(SCORES, single_label(TRUTH)).tables


def test_invalid_arguments_raise_errors():
    evaluator = ClassificationEvaluator(NAMES)
    with pytest.raises(RetinueError, match="no files to score"):
        evaluator.scores()
    with pytest.raises(RetinueError, match="does not know the class “dog”"):
        evaluator.update([{"scores": np.ones(3, np.float32)}], single_label([0], classes=("dog",)))
    with pytest.raises(RetinueError, match=r"1\.png: the model's scores are not numbers \(1 of 2 files\)"):
        evaluate([[1, 0, 0], [np.nan, 0, 0]], single_label([0, 0]))
    with pytest.raises(ValueError, match="1 predictions for 2 files"):
        evaluator.update([{"scores": np.ones(3, np.float32)}], single_label([0, 0]))
    with pytest.raises(ValueError, match="2 scores for 3 classes"):
        evaluator.update([{"scores": np.ones(2, np.float32)}], single_label([0]))


def area(scores, positive, weights=None):
    weights = np.ones((1, len(scores)), int) if weights is None else np.array([weights])
    thresholds = metrics.descending_thresholds(np.array(scores), np.array(positive, bool))
    return metrics.average_precision(thresholds, weights)[0]


def test_average_precision_by_hand():
    assert area([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert area([0.6, 0.7, 0.8, 0.9], [0, 1, 0, 1]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)  # in any order of the files
    assert area([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]) == 0.25  # equal scores are accepted together
    assert area([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert area([0.9, 0.1], [1, 1]) == 1.0
    assert area([0.9, 0.1], [0, 1]) == 0.5


def test_weights_of_average_precision_act_as_repetitions():
    repeated = area([0.9, 0.8, 0.8, 0.6, 0.6, 0.6], [1, 0, 0, 1, 1, 1])
    assert area([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 1], weights=[1, 2, 0, 3]) == pytest.approx(repeated)
    assert np.isnan(area([0.9, 0.8], [1, 0], weights=[0, 2]))


# Threshold 0.5. Row 0 is correct; row 1 has bee as a false negative; row 2 (no label) has ant as a false positive.
MULTI = [[0.9, 0.2, 0.1], [0.3, 0.4, 0.2], [0.6, 0.1, 0.4]]
MULTI_TRUTH = [[0], [1], []]


def test_multi_label_numbers_by_hand():
    scores = evaluate(MULTI, multi_label(MULTI_TRUTH))
    numbers = scores.metrics
    assert (scores.primary_metric, scores.value) == (
        "mean_average_precision",
        1.0,
    )  # both classes rank their file first
    assert (numbers["micro_precision"], numbers["micro_recall"], numbers["micro_f1"]) == (0.5, 0.5, 0.5)
    assert numbers["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert numbers["exact_match"] == pytest.approx(1 / 3)
    probability = [0.9, 0.8, 0.9, 0.7, 0.4, 0.8, 0.4, 0.9, 0.6]
    assert numbers["log_loss"] == pytest.approx(-np.log(probability).mean(), rel=1e-6)
    ant, bee, cat = scores.per_class
    assert (ant["count"], ant["predicted"], ant["precision"], ant["recall"]) == (1, 2, 0.5, 1.0)
    assert (bee["average_precision"], bee["precision"], bee["recall"], bee["f1"]) == (1.0, None, 0.0, 0.0)
    assert bee["confidence"] == pytest.approx(0.4)
    assert (cat["average_precision"], cat["recall"], cat["f1"]) == (None, None, None)
    missing, perfect = scores.notes
    assert missing == "The class “cat” has no scored file; the means over classes omit it."
    assert "3 files prove" in perfect and "at least 36.8% of such files" in perfect  # 0.05 ** (1 / 3)
    losses = -np.log([0.7 * 0.4 * 0.8, 0.4 * 0.9 * 0.6])
    assert scores.worst == ([1, 2] if losses[0] > losses[1] else [2, 1])
    assert sum(row["count"] for row in scores.tables["calibration"]) == 9
    assert "confusion" not in scores.tables


def test_a_score_equal_to_the_threshold_assigns_the_label():
    assigned = evaluate([[0.25, 0.1, 0.1]], multi_label([[0]]), threshold=0.25)
    assert (assigned.metrics["micro_recall"], assigned.metrics["threshold"]) == (1.0, 0.25)
    not_assigned = evaluate([[0.25, 0.1, 0.1]], multi_label([[0]]))
    assert (not_assigned.metrics["micro_precision"], not_assigned.metrics["micro_recall"]) == (None, 0.0)
    assert not_assigned.verdict.startswith("The model predicts no label, and 0.0% of the true labels are predicted")


def test_multi_label_interval_does_not_depend_on_the_order_of_the_files():
    generator = np.random.default_rng(5)
    positive = generator.random((80, 3)) < 0.3
    scores = np.round(generator.random((80, 3)) + 0.4 * positive, 1)
    dataset = multi_label([np.flatnonzero(row) for row in positive])
    expected_scores = evaluate(scores, dataset, bootstrap_samples=200)
    low, high = expected_scores.interval
    assert 0 < low < expected_scores.value < high < 1
    order = generator.permutation(80)
    reordered = evaluate(scores[order], dataset.take(order), bootstrap_samples=200)
    assert reordered.interval == expected_scores.interval
    assert reordered.metrics == pytest.approx(expected_scores.metrics)


def test_multi_label_interval_equals_resampling_one_by_one():
    generator = np.random.default_rng(6)
    positive = generator.random((12, 2)) < 0.4
    scores = generator.random((12, 2)).astype(np.float32)
    interval = metrics.bootstrap_mean_average_precision(scores, positive, 50, seed=9)

    order = np.lexsort(np.concatenate([scores, positive], axis=1).T)
    draws = np.random.default_rng(9).integers(0, 12, (50, 12))
    means = []
    for rows in order[draws]:
        areas = [area(scores[rows, c], positive[rows, c]) for c in range(2) if positive[rows, c].any()]
        means.append(np.mean(areas))
    assert interval == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_multi_label_without_any_label_is_an_error():
    with pytest.raises(RetinueError, match="no scored file has a label"):
        evaluate([[0.1, 0.2, 0.3]], multi_label([[]]))


def test_scores_are_serializable_as_json():
    import json

    scores = evaluate(SCORES, single_label(TRUTH))
    content = json.loads(json.dumps(scores.as_json(), allow_nan=False))
    assert (content["value"], content["interval"], content["count"]) == (0.5, list(scores.interval), 4)
    json.dumps([scores.per_class, scores.tables, scores.worst], allow_nan=False)
    multi = evaluate(MULTI, multi_label(MULTI_TRUTH))
    json.dumps([multi.as_json(), multi.per_class, multi.tables, multi.worst], allow_nan=False)


def test_so_many_classes_that_a_matrix_would_be_too_large_have_a_table_of_confused_pairs():
    count = 1001
    names = tuple(f"class {index}" for index in range(count))
    labels = np.array([5, 5, 5, 7, 1000, 3])
    predicted = [9, 9, 5, 5, 1000, 2]
    scores = evaluate(np.eye(count)[predicted], single_label(labels, names), bootstrap_samples=0)
    assert "confusion" not in scores.tables
    assert scores.tables["confused_pairs"] == [
        {"truth": "class 5", "predicted": "class 9", "count": 2, "fraction": 2 / 3},
        {"truth": "class 3", "predicted": "class 2", "count": 1, "fraction": 1.0},
        {"truth": "class 7", "predicted": "class 5", "count": 1, "fraction": 1.0},
    ]
    assert scores.value == 1 / 3 and scores.per_class[5]["most_confused_with"] == "class 9"
    assert scores.per_class[5] | {"confidence": None} == {
        "class": "class 5",
        "count": 3,
        "predicted": 2,
        "precision": 0.5,
        "recall": 1 / 3,
        "f1": 0.4,
        "confidence": None,
        "most_confused_with": "class 9",
    }
    section = confusion_section(scores)
    assert section.plots[0].name == "confused_pairs" and section.plots[0].rows == scores.tables["confused_pairs"]
    assert section.text[1] == "The most common confusion: 2 of 3 files of “class 5” were predicted as “class 9”."
