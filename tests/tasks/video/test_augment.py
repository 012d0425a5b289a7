"""Crops, mirrors and colours of training snippets, and the ten crops of a test, by hand."""

import numpy as np
import pytest
import tensorflow as tf
from test_model import CLASSES, config

from retinue import tasks
from retinue.tasks.video import augment, flow, model
from retinue.tasks.video.snippets import read_snippets
from retinue.tests.helpers.clips import moving, write_video


def test_flow_in_pixels_and_its_mean():
    levels = np.array([[[0, 255], [255, 255]]], np.uint8)[None]  # one field of two places
    pixels = augment.dequantize_flow(tf.constant(levels), 10.0, False).numpy()
    np.testing.assert_allclose(pixels[0, 0], [[-10, 10], [10, 10]], rtol=1e-5)
    centred = augment.dequantize_flow(tf.constant(levels), 10.0, True).numpy()
    np.testing.assert_allclose(centred[0, 0], [[-10, 0], [10, 0]], atol=1e-5)
    field = np.random.default_rng(0).uniform(-12, 12, (1, 4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(augment.quantize_flow(tf.constant(field), 10.0), flow.quantize(field, 10.0))


def test_mirrored_flow_as_on_disk():
    field = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)
    two = np.concatenate([field, field + 1], axis=-1)
    mirrored = augment.flip_flow(tf.constant(two)).numpy()
    np.testing.assert_array_equal(mirrored[..., :2], flow.flip(field))
    np.testing.assert_array_equal(mirrored[..., 2:], flow.flip(field + 1))


def test_a_crop_that_grows_scales_the_motion():
    frames = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    field = np.ones((2, 8, 8, 4), np.float32) * [1, 2, 3, 4]
    window = tf.constant([2, 4, 6, 8])
    cut_frames, cut_flow = augment.cut(tf.constant(frames), tf.constant(field, tf.float32), window, 4)
    np.testing.assert_array_equal(cut_frames, frames[:, 4:8, 2:6])
    np.testing.assert_allclose(cut_flow, field[:, 4:8, 2:6])
    _, larger = augment.cut(tf.constant(frames), tf.constant(field, tf.float32), window, 8)
    np.testing.assert_allclose(larger, np.ones((2, 8, 8, 4)) * [2, 4, 6, 8], rtol=1e-6)


def test_one_window_for_frames_and_flow():
    """Frames whose pixels say where they are, and flow that says the same."""
    y, x = np.mgrid[:36, :40].astype(np.float32)
    frames = np.stack([y, x, x], axis=-1)[None].astype(np.uint8)
    field = np.stack([x, y], axis=-1)[None]
    settings = config(augment__horizontal_flip=True, video__crop_scales=[0.5, 0.25])
    off = {key: 0.0 for key in ("brightness", "contrast", "saturation", "hue")}
    settings = settings.model_copy(update={"augment": settings.augment.model_copy(update=off)})
    seen = set()
    for seed in range(40):
        shown, moved = augment.augment_snippets(tf.constant(frames), tf.constant(field), settings, 9, [seed, 0])
        shown, moved = shown.numpy()[0], moved.numpy()[0]
        mirrored = shown[0, 0, 1] > shown[0, -1, 1]
        step_x = abs(shown[4, 5, 1] - shown[4, 4, 1])
        step_y = shown[5, 4, 0] - shown[4, 4, 0]
        np.testing.assert_allclose(moved[..., 1] * step_y, shown[..., 0], atol=1.01)
        np.testing.assert_allclose(moved[..., 0] * step_x * (-1 if mirrored else 1), shown[..., 1], atol=1.01)
        seen.add((bool(mirrored), round(float(step_x))))
    assert seen == {(False, 1), (False, 2), (True, 1), (True, 2)}


def test_without_flips_none_is_mirrored():
    frames = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, None, :, None], (1, 36, 40, 3))
    for seed in range(10):
        shown, _ = augment.augment_snippets(
            tf.constant(frames), tf.zeros([1, 36, 40, 0]), config(), 9, tf.constant([seed, 1])
        )
        assert shown[0, 4, 0, 0] < shown[0, 4, -1, 0]


@pytest.mark.parametrize("fusion", ["average", "weighted"])
def test_25_frames_and_10_crops_are_what_one_does_by_hand(tmp_path, fusion):
    clip = write_video(tmp_path / "clip.avi", moving(0, 2, count=40, size=(36, 40)))
    settings = config(video__test_segments=25, evaluate__tta="ten_crop", video__fusion=fusion, video__flow_bound=4.0)
    task = tasks.create(settings, CLASSES)
    net = task.build()
    for stream in task.streams:  # larger weights, so that crops differ
        layer = net.get_layer(f"{stream}_logits")
        layer.set_weights([100 * layer.get_weights()[0], layer.get_weights()[1]])
    one = {"file": tf.constant(str(clip)), "start": tf.constant(0.0), "end": tf.constant(0.0)}
    given = {name: value[None] for name, value in task.read_record(one).items()}
    said = {name: value.numpy()[0] for name, value in task.inference(net)(given, training=False).items()}

    frames, levels = read_snippets(clip, settings.video, np.full(25, 0.5))
    pixels = flow.dequantize(levels, 4.0)
    pixels = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    sums = {"spatial": np.zeros(3), "temporal": np.zeros(3)}
    for number in range(25):
        for top, left in ((0, 0), (0, 8), (4, 0), (4, 8), (2, 4)):
            for mirrored in (False, True):
                cut = (slice(top, top + 32), slice(left, left + 32))
                picture, motion = np.float32(frames[number][cut]), pixels[number][cut]
                if mirrored:
                    picture, motion = picture[:, ::-1], motion[:, ::-1] * np.float32([-1, 1] * 3)
                logits = net({"frames": picture[None, None], "flow": motion[None, None]}, training=False)
                for name in sums:
                    sums[name] += tf.nn.softmax(logits[name])[0].numpy()
    for name, total in sums.items():
        np.testing.assert_allclose(said[name], total / 250, atol=2e-5)
    np.testing.assert_allclose(
        said["scores"], model.fuse(sums["spatial"] / 250, sums["temporal"] / 250, settings.video), atol=2e-5
    )
    assert np.abs(said["spatial"] - said["temporal"]).max() > 1e-3
