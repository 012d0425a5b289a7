"""Geometry: image, boxes and mask must agree after each operation and after all of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from retinue.data.augmentation.geometry import Geometry, augment_image, draw_geometry
from retinue.data.decoding.resize import resize_image
from retinue.data.seeds import example_seed


@dataclasses.dataclass
class Augment:
    """All augmentations are off; tests turn on what they need."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    random_rot90: bool = False
    crop_scale: tuple = (1.0, 1.0)
    crop_aspect: tuple = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    randaugment_num_ops: int = 0
    randaugment_magnitude: int = 9


EVERYTHING = Augment(True, True, True, (0.3, 1.0), (0.75, 1.333))
HEIGHT, WIDTH = 90, 120


def coordinates():
    """Return an image whose red is x and whose green is y."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return tf.constant(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def draw(augment, number, size=(64, 48), resize_mode="stretch"):
    return draw_geometry(tf.constant([HEIGHT, WIDTH]), augment, size, resize_mode, example_seed(0, 0, number))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip_left_right", [False, True])
@pytest.mark.parametrize("flip_up_down", [False, True])
def test_the_eight_orientations_by_hand(transpose, flip_left_right, flip_up_down):
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    expected = pixels.T if transpose else pixels
    expected = expected[:, ::-1] if flip_left_right else expected
    expected = expected[::-1] if flip_up_down else expected
    flags = (tf.constant(flag) for flag in (transpose, flip_left_right, flip_up_down))
    geometry = Geometry(tf.constant([0, 0, 3, 2]), (2, 3), expected.shape, *flags)
    np.testing.assert_array_equal(geometry.apply_to_image(tf.constant(pixels[:, :, None]))[:, :, 0], expected)
    np.testing.assert_array_equal(geometry.apply_to_mask(tf.constant(pixels)), expected)
    # The box around the pixel with value 5, at x 2 and y 1.
    boxes, kept = geometry.apply_to_boxes(tf.constant([[2.0, 1.0, 3.0, 2.0]]))
    ((y,), (x,)) = np.where(expected == 5)
    assert boxes.numpy().tolist() == [[x, y, x + 1, y + 1]] and kept.numpy().tolist() == [True]


@pytest.mark.parametrize("resize_mode", ["stretch", "center_crop", "letterbox"])
@pytest.mark.parametrize(
    "augment",
    [
        Augment(),
        Augment(horizontal_flip=True),
        Augment(vertical_flip=True),
        Augment(random_rot90=True),
        Augment(crop_scale=(0.2, 0.9), crop_aspect=(0.5, 2.0)),
        EVERYTHING,
    ],
    ids=["nothing", "horizontal", "vertical", "rotations", "crop", "everything"],
)
def test_boxes_and_masks_agree_with_an_image_of_coordinates(augment, resize_mode):
    image = coordinates()
    boxes = np.array([[10, 20, 40, 60], [50, 5, 110, 45], [70, 50, 80, 85], [3, 3, 12, 80]], np.float32)
    for number in range(6):
        geometry = draw(augment, number, resize_mode=resize_mode)
        pixels = geometry.apply_to_image(image, padding=255).numpy().astype(float)
        moved, kept = geometry.apply_to_boxes(tf.constant(boxes))
        covered = geometry.apply_to_mask(tf.ones([HEIGHT, WIDTH], tf.uint8)).numpy()
        assert pixels.shape == (64, 48, 3) and set(np.unique(covered)) <= {1, 255}
        assert np.all(pixels[covered == 255] == 255) and np.all(pixels[covered == 1, 2] == 0)
        window = geometry.window.numpy()
        for box, new, is_kept in zip(boxes, moved.numpy(), kept.numpy(), strict=True):
            center_x, center_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            in_window = window[0] <= center_x < window[2] and window[1] <= center_y < window[3]
            assert is_kept == in_window
            if not is_kept:
                continue
            # Distance of each pixel from the edge of the box; within one pixel of the edge, both answers pass.
            x, y = pixels[:, :, 0] + 0.5, pixels[:, :, 1] + 0.5
            depth = np.minimum.reduce([x - box[0], box[2] - x, y - box[1], box[3] - y])
            depth[covered == 255] = -np.inf
            rows, columns = np.mgrid[:64, :48]
            in_new = (columns + 0.5 > new[0]) & (columns + 0.5 < new[2]) & (rows + 0.5 > new[1]) & (rows + 0.5 < new[3])
            assert np.all(in_new[depth > 1]) and not np.any(in_new[depth < -1])
            assert np.any(depth > 1)
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = 1
            moved_mask = geometry.apply_to_mask(tf.constant(mask)).numpy()
            assert np.all(moved_mask[depth > 1.5] == 1) and not np.any(moved_mask[depth < -1.5] == 1)


def test_rotations_and_flips_give_all_eight_orientations_equally_often():
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3, 1)
    orientations = [np.rot90(side, turns) for side in (pixels, pixels[:, ::-1]) for turns in range(4)]
    augment = Augment(horizontal_flip=True, random_rot90=True)

    @tf.function
    def orient(number):
        seed = example_seed(0, 0, number)
        return draw_geometry(tf.constant([3, 3]), augment, 3, seed=seed).apply_to_image(tf.constant(pixels))

    counts = [0] * 8
    for number in tf.range(400, dtype=tf.int64):
        image = orient(number).numpy()
        counts[[np.array_equal(image, orientation) for orientation in orientations].index(True)] += 1
    assert min(counts) > 25  # 50 each, minus 3.8 standard deviations


def test_a_quarter_turn_is_counterclockwise():
    # The number of quarter turns is int(4 * draw) of the fifth random number.
    pixels = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    augment = Augment(random_rot90=True)
    all_turns = set()
    for number in range(20):
        seed = example_seed(0, 0, number)
        turns = int(tf.random.stateless_uniform([7], seed)[4] * 4)
        geometry = draw_geometry(tf.constant([2, 2]), augment, 2, seed=seed)
        np.testing.assert_array_equal(geometry.apply_to_image(tf.constant(pixels)), np.rot90(pixels, turns))
        all_turns.add(turns)
    assert all_turns == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("resize_mode", "base"), [("stretch", (90, 120)), ("letterbox", (90, 120)), ("center_crop", (90, 90))]
)
def test_crops_have_the_configured_area_and_aspect_ratio(resize_mode, base):
    augment = Augment(crop_scale=(0.3, 0.8), crop_aspect=(0.7, 1.4))
    scales, aspects = [], []
    for number in range(150):
        x1, y1, x2, y2 = draw(augment, number, 32, resize_mode).window.numpy()
        assert 0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT
        height, width = (y2 - y1) / base[0], (x2 - x1) / base[1]
        scales.append(height * width)
        aspects.append(width / height)
    assert 0.28 < min(scales) < 0.35 and 0.75 < max(scales) < 0.82
    assert 0.68 < min(aspects) < 0.76 and 1.3 < max(aspects) < 1.43


def test_an_aspect_ratio_that_does_not_fit_is_limited_and_the_area_kept():
    augment = Augment(crop_scale=(0.9, 0.9), crop_aspect=(0.1, 10.0))
    for number in range(30):
        x1, y1, x2, y2 = draw(augment, number).window.numpy()
        assert abs((x2 - x1) * (y2 - y1) / (HEIGHT * WIDTH) - 0.9) < 0.02


def test_crops_reach_every_corner():
    augment = Augment(crop_scale=(0.25, 0.25))
    windows = np.array([draw(augment, number).window.numpy() for number in range(150)])
    assert windows[:, 0].min() <= 2 and windows[:, 1].min() <= 2
    assert windows[:, 2].max() >= WIDTH - 2 and windows[:, 3].max() >= HEIGHT - 2


@pytest.mark.parametrize("resize_mode", ["stretch", "letterbox"])
def test_without_augmentation_training_sees_the_same_image_as_evaluation(resize_mode):
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    np.testing.assert_array_equal(
        augment_image(image, Augment(), 40, resize_mode), resize_image(image, 40, resize_mode)
    )


def test_boxes_are_clipped_and_those_with_their_center_outside_are_not_kept():
    geometry = Geometry(tf.constant([10, 10, 30, 30]), (40, 40), (40, 40))
    boxes = [[5, 15, 20, 25], [0, 15, 19, 25], [40, 40, 50, 50], [12, 12, 12, 20], [0, 0, 40, 40]]
    moved, kept = geometry.apply_to_boxes(tf.constant(boxes, tf.float32))
    assert kept.numpy().tolist() == [True, False, False, False, True]  # the fourth has no width
    assert moved.numpy()[[0, 4]].tolist() == [[0, 10, 20, 30], [0, 0, 40, 40]]


def test_an_image_can_have_no_boxes():
    boxes, kept = draw(EVERYTHING, 3).apply_to_boxes(tf.zeros([0, 4]))
    assert boxes.shape == (0, 4) and kept.shape == (0,)


def test_the_seed_alone_decides():
    augment = dataclasses.replace(EVERYTHING, brightness=0.2, saturation=0.2, hue=0.05, randaugment_num_ops=1)
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    make = tf.function(lambda seed: augment_image(image, augment, (32, 24), "stretch", seed))
    first, again, other = (make(example_seed(0, epoch, 5)).numpy() for epoch in (0, 0, 1))
    assert first.shape == (32, 24, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5


@pytest.mark.parametrize("old", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_tiny_images_can_be_augmented(old):
    augment = dataclasses.replace(EVERYTHING, brightness=0.5)
    for resize_mode in ("stretch", "center_crop", "letterbox"):
        image = tf.fill([*old, 3], tf.constant(100, tf.uint8))
        assert augment_image(image, augment, 16, resize_mode, example_seed(0, 0, 1)).shape == (16, 16, 3)


def test_shapes_are_known_in_a_graph():
    for resize_mode in ("stretch", "center_crop", "letterbox"):
        make = tf.function(
            lambda image, resize_mode=resize_mode: augment_image(
                image, EVERYTHING, 16, resize_mode, tf.constant([1, 2])
            )
        )
        assert make.get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8)).output_shapes == (16, 16, 3)
