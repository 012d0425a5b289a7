"""Crops, flips and colors of training snippets, and ten-crop testing, computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from retinue import tasks
from retinue.tasks.video import augment, flow, model
from retinue.tasks.video.snippets import read_snippets
from retinue.tests.helpers.clips import moving_frames, write_video
from retinue.tests.helpers.video_config import CLASSES, video_config


def test_stored_flow_is_converted_to_pixels_and_its_mean_subtracted():
    levels = np.array([[[0, 255], [255, 255]]], np.uint8)[None]  # one field, 1 x 2 pixels
    pixels = augment.dequantize_flow(tf.constant(levels), 10.0, False).numpy()
    np.testing.assert_allclose(pixels[0, 0], [[-10, 10], [10, 10]], rtol=1e-5)
    centered = augment.dequantize_flow(tf.constant(levels), 10.0, True).numpy()
    np.testing.assert_allclose(centered[0, 0], [[-10, 0], [10, 0]], atol=1e-5)
    field = np.random.default_rng(0).uniform(-12, 12, (1, 4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(augment.quantize_flow(tf.constant(field), 10.0), flow.quantize(field, 10.0))


def test_flipping_in_tensorflow_equals_flipping_in_numpy():
    field = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)
    two = np.concatenate([field, field + 1], axis=-1)
    flipped = augment.flip_flow(tf.constant(two)).numpy()
    np.testing.assert_array_equal(flipped[..., :2], flow.flip(field))
    np.testing.assert_array_equal(flipped[..., 2:], flow.flip(field + 1))


def test_enlarging_a_crop_scales_the_flow():
    frames = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    field = np.ones((2, 8, 8, 4), np.float32) * [1, 2, 3, 4]
    box = tf.constant([2, 4, 6, 8])
    cropped_frames, cropped_flow = augment.crop_snippets(tf.constant(frames), tf.constant(field, tf.float32), box, 4)
    np.testing.assert_array_equal(cropped_frames, frames[:, 4:8, 2:6])
    np.testing.assert_allclose(cropped_flow, field[:, 4:8, 2:6])
    _, larger = augment.crop_snippets(tf.constant(frames), tf.constant(field, tf.float32), box, 8)
    np.testing.assert_allclose(larger, np.ones((2, 8, 8, 4)) * [2, 4, 6, 8], rtol=1e-6)


def test_frames_and_flow_have_the_same_crop():
    """The pixels of the frames and of the flow are their own coordinates."""
    y, x = np.mgrid[:36, :40].astype(np.float32)
    frames = np.stack([y, x, x], axis=-1)[None].astype(np.uint8)
    field = np.stack([x, y], axis=-1)[None]
    settings = video_config(augment__horizontal_flip=True, video__crop_scales=[0.5, 0.25])
    off = {key: 0.0 for key in ("brightness", "contrast", "saturation", "hue")}
    settings = settings.model_copy(update={"augment": settings.augment.model_copy(update=off)})
    variants = set()
    for seed in range(40):
        crop, crop_flow = augment.augment_snippets(tf.constant(frames), tf.constant(field), settings, 9, [seed, 0])
        crop, crop_flow = crop.numpy()[0], crop_flow.numpy()[0]
        flipped = crop[0, 0, 1] > crop[0, -1, 1]
        step_x = abs(crop[4, 5, 1] - crop[4, 4, 1])
        step_y = crop[5, 4, 0] - crop[4, 4, 0]
        np.testing.assert_allclose(crop_flow[..., 1] * step_y, crop[..., 0], atol=1.01)
        np.testing.assert_allclose(crop_flow[..., 0] * step_x * (-1 if flipped else 1), crop[..., 1], atol=1.01)
        variants.add((bool(flipped), round(float(step_x))))
    assert variants == {(False, 1), (False, 2), (True, 1), (True, 2)}


def test_without_flips_no_clip_is_flipped():
    frames = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, None, :, None], (1, 36, 40, 3))
    for seed in range(10):
        crop, _ = augment.augment_snippets(
            tf.constant(frames), tf.zeros([1, 36, 40, 0]), video_config(), 9, tf.constant([seed, 1])
        )
        assert crop[0, 4, 0, 0] < crop[0, 4, -1, 0]


@pytest.mark.parametrize("fusion", ["average", "weighted"])
def test_25_snippets_and_10_crops_equal_single_crops_by_hand(tmp_path, fusion):
    clip = write_video(tmp_path / "clip.avi", moving_frames(0, 2, count=40, size=(36, 40)))
    settings = video_config(
        video__test_segments=25, evaluate__tta="ten_crop", video__fusion=fusion, video__flow_bound=4.0
    )
    task = tasks.create(settings, CLASSES)
    built = task.build()
    for stream in task.streams:  # larger weights make the crops differ
        layer = built.get_layer(f"{stream}_logits")
        layer.set_weights([100 * layer.get_weights()[0], layer.get_weights()[1]])
    record = {"file": tf.constant(str(clip)), "start": tf.constant(0.0), "end": tf.constant(0.0)}
    inputs = {name: value[None] for name, value in task.read_record(record).items()}
    outputs = {name: value.numpy()[0] for name, value in task.inference(built)(inputs, training=False).items()}

    frames, levels = read_snippets(clip, settings.video, np.full(25, 0.5))
    pixels = flow.dequantize(levels, 4.0)
    pixels = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    sums = {"spatial": np.zeros(3), "temporal": np.zeros(3)}
    for number in range(25):
        crops = {"frames": [], "flow": []}
        for top, left in ((0, 0), (0, 8), (4, 0), (4, 8), (2, 4)):
            for flipped in (False, True):
                box = (slice(top, top + 32), slice(left, left + 32))
                image, motion = np.float32(frames[number][box]), pixels[number][box]
                if flipped:
                    image, motion = image[:, ::-1], motion[:, ::-1] * np.float32([-1, 1] * 3)
                crops["frames"].append(image[None])
                crops["flow"].append(motion[None])
        logits = built({name: np.stack(arrays) for name, arrays in crops.items()}, training=False)
        for name in sums:
            sums[name] += tf.nn.softmax(logits[name]).numpy().sum(axis=0)
    for name, total in sums.items():
        np.testing.assert_allclose(outputs[name], total / 250, atol=2e-5)
    np.testing.assert_allclose(
        outputs["scores"],
        model.average_streams(sums["spatial"] / 250, sums["temporal"] / 250, settings.video),
        atol=2e-5,
    )
    assert np.abs(outputs["spatial"] - outputs["temporal"]).max() > 1e-3
