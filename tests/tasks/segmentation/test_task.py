import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.load import load_config
from retinue.tasks.segmentation import draw
from retinue.tasks.segmentation.task import Segmentation
from retinue.tests.helpers.mask_images import make_image, make_mask

CLASSES = ("background", "cat", "dog")
IDS = np.repeat(np.repeat(np.array([[0, 1], [1, 2]], np.uint8), 20, axis=0), 30, axis=1)


@pytest.fixture
def task():
    return Segmentation(load_config(settings=["task=segmentation"]), CLASSES)


def test_postprocess_counts_the_pixels_of_each_class(task):
    result = task.postprocess({"mask": IDS[None], "confidence": np.full((1, 4, 4), 0.75, np.float32)})
    assert result[0]["pixels"] == {"background": 600, "cat": 1200, "dog": 600} and result[0]["confidence"] == 0.75


def test_serve_works_in_a_graph(task):
    serve = tf.function(lambda mask: task.serve({"mask": mask}, tf.constant(CLASSES)))
    served = serve(tf.constant(np.stack([IDS, np.zeros_like(IDS)])))
    assert served["pixels"].numpy().tolist() == [[600, 1200, 600], [2400, 0, 0]]
    assert served["classes"].shape == (2, 3) and served["mask"].dtype == tf.uint8


def test_summarize_errors_returns_the_iou_of_each_class(task):
    predicted = IDS.copy()
    predicted[:20, 30:] = 2  # a quarter of the image: half of the cats are predicted to be dogs
    names, result = task.summarize_errors({"mask": predicted}, IDS)
    assert names == ["background", "cat", "dog"]
    assert {one["label"]: (one["score"], one["right"]) for one in result} == {
        "background": (1.0, True),
        "cat": (0.5, True),
        "dog": (0.5, True),
    }


def test_compare_outputs_distinguishes_equal_masks_near_ties_and_differences(task):
    confidence = np.full((3, 2, 2), 0.5, np.float32)
    truth = {"mask": np.stack([IDS] * 3), "confidence": confidence}
    outputs = {"mask": truth["mask"].copy(), "confidence": confidence + np.float32(1e-5)}
    outputs["mask"][1, 0, 0] = 2  # one of 2,400 pixels
    result = task.compare_outputs(outputs, truth, 1e-4)
    assert (
        result["same"] == 2
        and result["near_ties"] == 1
        and result["largest_difference"] == pytest.approx(1e-5, rel=0.1)
    )
    assert 0.99 < result["iou"] < 1
    assert task.compare_outputs(truth, truth, 1e-4)["iou"] == 1
    outputs["mask"][2, :10] = 2
    result = task.compare_outputs(outputs, truth, 1e-4)
    assert result["same"] + result["near_ties"] == 2 and result["largest_difference"] == 1.0
    no_confidence = task.compare_outputs({"mask": truth["mask"]}, truth, 1e-4)
    assert no_confidence["largest_difference"] == 0.0


def test_drawing_shows_the_mask_the_truth_and_the_errors():
    image = np.full((40, 60, 3), 100, np.uint8)
    alone = draw.draw(image, IDS, CLASSES)
    assert alone.shape[1] == 300 and alone.shape[0] > 200  # enlarged by a whole factor, and a panel
    assert (alone[0, 0] == 100).all()  # background is not colored
    assert (alone[5, 200] != 100).any()
    predicted, truth = np.zeros_like(IDS), IDS.copy()
    truth[:, :10] = 255
    errors = draw.error_map(image, predicted, truth, draw.class_colors(CLASSES))
    assert errors[0, 40, 0] > errors[0, 40, 1] + 50  # wrong: red
    assert (errors[0, 0] == 255).all()  # void: white
    assert draw.draw(image, predicted, CLASSES, truth).shape[1] > 2 * 60


def test_class_fractions_ignore_void():
    truth = IDS.copy()
    truth[:20] = 255
    fractions = {name: (fraction, iou) for name, fraction, iou in draw.class_fractions(IDS, truth, CLASSES)}
    assert fractions == {"cat": (0.5, 1.0), "dog": (0.5, 1.0)}


def test_visualize_batch_shows_the_masks(task):
    images = np.zeros((2, *IDS.shape, 3), np.uint8)
    drawings, captions = task.visualize_batch(images, np.stack([IDS, np.full_like(IDS, 255)]))
    assert captions == ["background, cat, dog", "all void"]
    assert not drawings[0][0, 0].any() and drawings[0][0, 40].any() and drawings[1].any()


def test_examples_have_masks_that_are_resized_if_the_setting_says_so(tmp_path):
    image, mask = make_image(tmp_path / "a.png", (40, 60)), make_mask(tmp_path / "mask.png", [[0, 1], [1, 2]])
    columns = {"file": tf.constant(str(image)), "mask": tf.constant(str(mask)), "values": tf.range(3, dtype=tf.int64)}
    settings = ["task=segmentation", "segmentation.resize_masks=true"]
    read_example = Segmentation(load_config(settings=settings), CLASSES).example(training=False, input_size=60)
    _, ids = read_example(columns, tf.constant([0, 1]))
    padded = ids.numpy()
    assert (padded[padded != 255].reshape(40, 60) == IDS).all()
