import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.load import load_config
from retinue.tasks.segmentation import draw
from retinue.tasks.segmentation.task import Segmentation

CLASSES = ("background", "cat", "dog")
IDS = np.repeat(np.repeat(np.array([[0, 1], [1, 2]], np.uint8), 20, axis=0), 30, axis=1)


@pytest.fixture
def task():
    return Segmentation(load_config(settings=["task=segmentation"]), CLASSES)


def test_postprocess_counts_pixels(task):
    found = task.postprocess({"mask": IDS[None], "confidence": np.full((1, 4, 4), 0.75, np.float32)})
    assert found[0]["pixels"] == {"background": 600, "cat": 1200, "dog": 600} and found[0]["confidence"] == 0.75


def test_serve_is_made_of_graph_operations(task):
    serve = tf.function(lambda mask: task.serve({"mask": mask}, tf.constant(CLASSES)))
    given = serve(tf.constant(np.stack([IDS, np.zeros_like(IDS)])))
    assert given["pixels"].numpy().tolist() == [[600, 1200, 600], [2400, 0, 0]]
    assert given["classes"].shape == (2, 3) and given["mask"].dtype == tf.uint8


def test_judge_says_what_each_class_is_worth(task):
    said = IDS.copy()
    said[:20, 30:] = 2  # a quarter: half of the cats are called dogs
    names, found = task.summarize_errors({"mask": said}, IDS)
    assert names == ["background", "cat", "dog"]
    assert {one["label"]: (one["score"], one["right"]) for one in found} == {
        "background": (1.0, True),
        "cat": (0.5, True),
        "dog": (0.5, True),
    }


def test_compare_takes_the_same_ids_ties_and_differences_apart(task):
    sure = np.full((3, 2, 2), 0.5, np.float32)
    truth = {"mask": np.stack([IDS] * 3), "confidence": sure}
    given = {"mask": truth["mask"].copy(), "confidence": sure + np.float32(1e-5)}
    given["mask"][1, 0, 0] = 2  # one of 2,400 pixels
    found = task.compare_outputs(given, truth, 1e-4)
    assert (
        found["same"] == 2 and found["near_ties"] == 1 and found["largest_difference"] == pytest.approx(1e-5, rel=0.1)
    )
    assert 0.99 < found["iou"] < 1
    assert task.compare_outputs(truth, truth, 1e-4)["iou"] == 1
    given["mask"][2, :10] = 2
    found = task.compare_outputs(given, truth, 1e-4)
    assert found["same"] + found["near_ties"] == 2 and found["largest_difference"] == 1.0
    assert (
        task.compare_outputs({"mask": truth["mask"]}, truth, 1e-4)["largest_difference"] == 0.0
    )  # a signature without it


def test_drawing_shows_the_mask_the_truth_and_the_mistakes():
    image = np.full((40, 60, 3), 100, np.uint8)
    alone = draw.draw(image, IDS, CLASSES)
    assert alone.shape[1] == 300 and alone.shape[0] > 200  # enlarged by a whole factor, and a panel
    assert (alone[0, 0] == 100).all()  # background is not painted over
    assert (alone[5, 200] != 100).any()
    said, truth = np.zeros_like(IDS), IDS.copy()
    truth[:, :10] = 255
    red = draw.mistakes(image, said, truth, draw.class_colors(CLASSES))
    assert red[0, 40, 0] > red[0, 40, 1] + 50  # missed: red
    assert (red[0, 0] == 255).all()  # void: white
    assert draw.draw(image, said, CLASSES, truth).shape[1] > 2 * 60


def test_shares_leave_void_out():
    truth = IDS.copy()
    truth[:20] = 255
    shares = {name: (share, iou) for name, share, iou in draw.class_fractions(IDS, truth, CLASSES)}
    assert shares == {"cat": (0.5, 1.0), "dog": (0.5, 1.0)}


def test_pictures_of_a_batch_show_the_masks(task):
    images = np.zeros((2, *IDS.shape, 3), np.uint8)
    pictures, captions = task.visualize_batch(images, np.stack([IDS, np.full_like(IDS, 255)]))
    assert captions == ["background, cat, dog", "all void"]
    assert not pictures[0][0, 0].any() and pictures[0][0, 40].any() and pictures[1].any()
