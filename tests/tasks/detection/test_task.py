"""The tensors of the detection task: the inputs of the model, and its outputs."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.configs.errors import UsageError
from retinue.configs.load import load_config
from retinue.data import batches
from retinue.data.dataset import Dataset, Ragged
from retinue.tasks.detection import export_agreement
from retinue.tasks.detection.task import Detection

CLASSES = ("cat", "dog", "hare")


def make_task(*settings):
    sizes = ["model.input_size=64", "detection.max_size=100", "model.weights=none"]
    return Detection(load_config(settings=["task=detection", *sizes, *settings]), CLASSES)


@pytest.fixture
def dataset(tmp_path):
    """Two images: one of 128 x 128 pixels with two objects, a crowd and a difficult object; one of 40 x 80."""
    files = [tmp_path / "many.png", tmp_path / "none.png"]
    Image.new("RGB", (128, 128), (200, 0, 0)).save(files[0])
    Image.new("RGB", (80, 40), (0, 200, 0)).save(files[1])
    rows = [[[10, 20, 50, 60], [64, 64, 128, 128], [0, 0, 20, 20], [80, 0, 120, 40]], []]
    columns = {
        "boxes": Ragged.from_rows(rows, np.float32, 4),
        "labels": Ragged.from_rows([[2, 0, 1, 1], []], np.int64),
        "crowd": Ragged.from_rows([[False, False, True, False], []], bool),
        "difficult": Ragged.from_rows([[False, False, False, True], []], bool),
    }
    return Dataset("detection", files, CLASSES, columns, np.array(["train"] * 2, dtype=object))


def test_prepare_resizes_by_the_shorter_side_and_pads_to_multiples_of_the_stride():
    prepared = {
        name: value.numpy()
        for name, value in make_task().prepare(tf.fill([48, 60, 3], tf.constant(7, tf.uint8))).items()
    }
    assert prepared["size"].tolist() == [64, 80] and prepared["original_size"].tolist() == [48, 60]
    assert prepared["image"].shape == (64, 96, 3)
    assert (prepared["image"][:, :80] == 7).all() and (prepared["image"][:, 80:] == 0).all()


def test_the_longer_side_is_limited_and_c4_pads_to_multiples_of_16():
    prepared = make_task("detection.architecture=c4").prepare(tf.zeros([50, 100, 3], tf.uint8))
    assert prepared["size"].numpy().tolist() == [50, 100] and prepared["image"].shape == (64, 112, 3)


def test_read_decodes_the_file():
    encoded = tf.io.encode_png(tf.fill([64, 64, 3], tf.constant(9, tf.uint8)))
    assert (make_task().read(encoded)["image"].numpy() == 9).all()


def test_examples_are_padded_into_batches(dataset):
    task = make_task()
    data = batches.batches(
        task.columns(dataset), task.example(training=False), batch_size=2, training=False, padding=task.padding(True)
    )
    inputs, targets = next(iter(data))
    assert targets == ()
    assert inputs["image"].shape == (2, 64, 128, 3) and inputs["image"].dtype == tf.uint8
    np.testing.assert_array_equal(inputs["size"], [[64, 64], [50, 100]])
    np.testing.assert_array_equal(inputs["boxes"][0, :2], [[5, 10, 25, 30], [32, 32, 64, 64]])
    np.testing.assert_array_equal(inputs["labels"], [[2, 0, -2, -2], [-1, -1, -1, -1]])
    assert (inputs["boxes"][1].numpy() == 0).all() and inputs["seed"].shape == (2, 2)
    images, captions = task.visualize_batch({name: value.numpy() for name, value in inputs.items()}, targets)
    assert captions == ["2 objects", "0 objects"] and [image.dtype for image in images] == [np.uint8] * 2


def test_training_examples_depend_on_the_seed_only(dataset):
    task = make_task()
    read_example = task.example(training=True, input_size=48)
    record = {name: column[0] for name, column in task.columns(dataset).items()}
    first, again, other = (read_example(record, tf.constant(seed))[0] for seed in ([1, 2], [1, 2], [3, 4]))
    assert min(first["size"].numpy()) <= 48
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert first["image"].shape != other["image"].shape or (first["image"] != other["image"]).numpy().any()


OUTPUTS = {
    "boxes": np.array([[[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 3], np.float32),
    "scores": np.array([[0.9, 0.25, 0], [0, 0, 0]], np.float32),
    "labels": np.array([[2, 0, -1], [-1, -1, -1]], np.int32),
    "count": np.array([2, 0], np.int32),
    "proposals": np.array([[[1, 2, 3, 4], [0, 0, 0, 0]]] * 2, np.float32),
}


def test_postprocess_names_the_classes_and_counts_the_detections():
    first, second = make_task().postprocess(OUTPUTS)
    assert first["detections"] == [
        {"label": "hare", "score": pytest.approx(0.9), "box": [1.0, 2.0, 3.0, 4.0]},
        {"label": "cat", "score": pytest.approx(0.25), "box": [5.0, 6.0, 7.0, 8.0]},
    ]
    assert first["boxes"].shape == (2, 4) and second["detections"] == [] and second["boxes"].shape == (0, 4)


def test_serve_returns_class_names():
    served = make_task().serve({name: tf.constant(value) for name, value in OUTPUTS.items()}, tf.constant(CLASSES))
    assert served["names"].numpy().tolist() == [[b"hare", b"cat", b""], [b""] * 3]


def test_impossible_input_sizes_are_an_error():
    with pytest.raises(UsageError, match="model.input_size: the shorter side, 128, is above detection.max_size, 100"):
        make_task("model.input_size=128").build()
    with pytest.raises(UsageError, match="train.stages.all.input_size: .* at least 32"):
        make_task("train.stages.all.input_size=16").build()


def changed_outputs(name, change):
    changed = {key: value.copy() for key, value in OUTPUTS.items()}
    changed[name][0, 1] += change
    return changed


@pytest.mark.parametrize(
    ("outputs", "same", "near_ties", "iou"),
    [
        (OUTPUTS, 2, 0, 1),
        (changed_outputs("boxes", 0.01), 2, 0, (1 + 1.99**2 / (8 - 1.99**2)) / 2),
        (changed_outputs("boxes", 2.0), 1, 0, 0.5),
        (changed_outputs("labels", 1), 1, 0, 0.5),
        (OUTPUTS | {"count": np.array([1, 0])}, 1, 0, 0.5),
    ],
)
def test_comparison_equals_values_computed_by_hand(outputs, same, near_ties, iou):
    comparison = export_agreement.compare(outputs, OUTPUTS, 1e-4, 0.05, 0.5)
    assert comparison["iou"] == pytest.approx(iou, abs=1e-5)
    assert (comparison["same"], comparison["near_ties"]) == (same, near_ties) and comparison["largest_difference"] == 0


def test_a_detection_at_the_score_threshold_is_a_near_tie():
    comparison = export_agreement.compare(changed_outputs("scores", 0.003), OUTPUTS, 1e-4, 0.05, 0.5)
    assert comparison["largest_difference"] == pytest.approx(0.003, abs=1e-6) and comparison["same"] == 2
    comparison = export_agreement.compare(OUTPUTS | {"count": np.array([1, 0])}, OUTPUTS, 1e-4, 0.24995, 0.5)
    assert comparison["same"] == 1 and comparison["near_ties"] == 1


def test_the_recipes_can_be_loaded():
    for name, backbone, levels in (
        ("small", "efficientnet_lite0", 5),
        ("fpn-coco", "resnet50", 5),
        ("voc", "vgg16", 3),
    ):
        config = load_config(f"faster-rcnn-{name}")
        assert config.task == "detection" and config.model.backbone == backbone
        assert len(config.detection.anchor_sizes) == levels
