"""Saliency, SmoothGrad, integrated gradients and Grad-CAM on models whose result is known."""

import keras
import numpy as np
import pytest
from keras import layers

from retinue.configs.errors import UsageError
from retinue.explain.grad_cam import grad_cam
from retinue.explain.gradients import Gradient
from retinue.explain.integrated_gradients import integrated_gradients
from retinue.explain.saliency import saliency, smoothgrad
from retinue.tasks.segmentation.region_target import region_target
from retinue.tests.helpers.explain_models import linear_model, random_images, tiny_convnet

IMAGES = np.random.default_rng(1).uniform(0, 255, (2, 2, 3, 2)).astype(np.float32)


def test_saliency_of_a_linear_model_is_its_largest_weight():
    model, kernel = linear_model()
    expected = np.abs(kernel[..., 1]).max(axis=-1)
    np.testing.assert_allclose(saliency(model, IMAGES, 1), [expected, expected], rtol=1e-6)


def test_each_image_can_have_its_own_target():
    model, kernel = linear_model()
    maps = saliency(model, IMAGES, np.array([1, 0]))
    np.testing.assert_allclose(maps[0], np.abs(kernel[..., 1]).max(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(maps[1], np.abs(kernel[..., 0]).max(axis=-1), rtol=1e-6)


def test_smoothgrad_of_a_linear_model_is_its_saliency_and_repeats_with_the_same_seed():
    model, _ = linear_model()
    np.testing.assert_allclose(smoothgrad(model, IMAGES, 0, samples=9), saliency(model, IMAGES, 0), rtol=1e-5)
    convnet = tiny_convnet()
    first, second = (smoothgrad(convnet, random_images(1), 0, samples=3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - smoothgrad(convnet, random_images(1), 0, samples=3, seed=6)).max() > 0


def test_integrated_gradients_of_a_linear_model_are_weight_times_pixel():
    model, kernel = linear_model()
    np.testing.assert_allclose(integrated_gradients(model, IMAGES, 1, steps=3), kernel[..., 1] * IMAGES, rtol=1e-5)
    attributions = integrated_gradients(model, IMAGES, 1, baseline=10.0, steps=3)
    np.testing.assert_allclose(attributions, kernel[..., 1] * (IMAGES - 10), rtol=1e-5)


def test_integrated_gradients_sum_to_the_difference_of_the_scores():
    model, images = tiny_convnet(), random_images(2)
    targets = np.array([2, 0])
    scores = keras.ops.convert_to_numpy(model(images))[[0, 1], targets]
    black = keras.ops.convert_to_numpy(model(np.zeros_like(images)))[[0, 1], targets]
    sums = integrated_gradients(model, images, targets, steps=200).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sums, scores - black, atol=2e-3 * np.abs(scores - black).max())


def test_grad_cam_equals_a_result_computed_by_hand():
    """Two channels copy the channels of the image; the score of class 0 is 3 times the first minus the second."""
    image = keras.Input((2, 2, 2), name="image")
    maps = layers.Conv2D(2, 1, use_bias=False, name="maps")(image)
    logits = layers.Dense(1, use_bias=False, name="logits")(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(image, logits)
    model.set_weights([np.eye(2, dtype=np.float32)[None, None], np.array([[3.0], [-1.0]], np.float32)])
    image = np.array([[[[1, 0], [0, 5]], [[2, 2], [0, 0]]]], np.float32)
    # d score / d map is (3, -1) / 4 at each of the 4 positions, and so is its mean: relu(0.75 a - 0.25 b).
    np.testing.assert_allclose(grad_cam(model, image, 0), [[[0.75, 0], [1.0, 0]]], rtol=1e-6)


def test_local_grad_cam_weights_each_position_by_its_own_gradient():
    """Two channels copy those of the image; the region is the upper left pixel, whose score is 3 a - b."""
    image = keras.Input((2, 2, 2), name="image")
    maps = layers.Conv2D(2, 1, use_bias=False, name="maps")(image)
    model = keras.Model(image, layers.Conv2D(1, 1, use_bias=False, name="scores")(maps))
    model.set_weights([np.eye(2, dtype=np.float32)[None, None], np.array([3.0, -1.0], np.float32).reshape(1, 1, 2, 1)])
    image = np.array([[[[1, 2], [7, 5]], [[2, 2], [9, 0]]]], np.float32)
    target = region_target(0, np.array([[1, 0], [0, 0]]))
    np.testing.assert_allclose(grad_cam(model, image, target, "maps", local=True), [[[1, 0], [0, 0]]], rtol=1e-6)
    # With the mean, a quarter of (3, -1) is the weight of every position.
    np.testing.assert_allclose(grad_cam(model, image, target, "maps"), [[[0.25, 4], [1, 6.75]]], rtol=1e-6)


def test_grad_cam_works_on_a_frozen_model_and_on_a_named_layer():
    model, images = tiny_convnet(), random_images(3)
    expected = grad_cam(model, images, 1)
    assert expected.shape == (3, 16, 16) and expected.max() > 0 and expected.min() >= 0
    model.trainable = False
    np.testing.assert_array_equal(grad_cam(model, images, 1), expected)
    np.testing.assert_array_equal(grad_cam(model, images, 1, layer="conv2"), expected)
    with pytest.raises(UsageError, match="did you mean conv2 or conv1.*logits"):
        grad_cam(model, images, 1, layer="conv3")
    with pytest.raises(UsageError, match="logits: gives no map.*conv1"):
        grad_cam(model, images, 1, layer="logits")


def test_one_image_alone_and_in_a_batch_give_the_same_maps():
    model, images = tiny_convnet(), random_images(11)  # more than one step takes
    for method in (saliency, grad_cam, lambda *args: integrated_gradients(*args, steps=5)):
        together = method(model, images, 2)
        alone = np.concatenate([method(model, images[row : row + 1], 2) for row in (0, 10)])
        np.testing.assert_allclose(together[[0, 10]], alone, rtol=1e-4, atol=1e-7)


def test_images_may_have_one_channel_and_need_not_be_square():
    model = tiny_convnet(size=None, channels=1)
    wide = np.random.default_rng(0).uniform(0, 255, (1, 8, 20, 1)).astype(np.float32)
    assert saliency(model, wide, 0).shape == grad_cam(model, wide, 0).shape == (1, 8, 20)
    assert integrated_gradients(model, wide, 0, steps=2).shape == (1, 8, 20, 1)


@pytest.mark.parametrize("target", [3, -1, np.array([0, 3])])
def test_a_class_that_does_not_exist_is_refused(target):
    with pytest.raises(UsageError, match="has 3 classes, 0 to 2"):
        saliency(tiny_convnet(), random_images(2), target)


def test_images_and_targets_that_do_not_fit_the_model_are_refused():
    model = tiny_convnet()
    with pytest.raises(UsageError, match="takes images of 16 x 16 x 3, but these are 16 x 16 x 1"):
        saliency(model, random_images(1, channels=1), 0)
    with pytest.raises(UsageError, match="no images"):
        saliency(model, random_images(0), 0)
    with pytest.raises(UsageError, match="3 targets for 2 images"):
        saliency(model, random_images(2), np.array([0, 1, 2]))
    with pytest.raises(UsageError, match="function is no Keras model"):
        saliency(lambda images: images, random_images(1), 0)


def test_gradient_uses_the_weights_at_the_time_of_the_call():
    model, kernel = linear_model()
    gradient = Gradient(model)
    np.testing.assert_allclose(gradient(IMAGES, 0)[1][0], kernel[..., 0], rtol=1e-6)
    model.set_weights([2 * weight for weight in model.get_weights()])
    np.testing.assert_allclose(gradient(IMAGES, 0)[1][0], 2 * kernel[..., 0], rtol=1e-6)


def test_the_target_can_be_a_region_of_a_segmentation():
    """In a model that scores each pixel alone, only pixels of the region matter, all to the same degree."""
    image = keras.Input((4, 6, 1), name="image")
    model = keras.Model(image, layers.Conv2D(2, 1, use_bias=False, name="classes")(image))
    model.set_weights([np.array([1.0, -3.0], np.float32).reshape(1, 1, 1, 2)])
    mask = np.zeros((4, 6))
    mask[1:3, 2:4] = 1
    np.testing.assert_allclose(saliency(model, np.ones((1, 4, 6, 1)), region_target(1, mask))[0], 3 * mask / 4)
    cam = grad_cam(model, np.ones((1, 4, 6, 1)), region_target(0, mask), layer="classes")
    assert cam.shape == (1, 4, 6) and cam.min() > 0
    with pytest.raises(UsageError, match="they must have the same size"):
        saliency(model, np.ones((1, 4, 6, 1)), region_target(1, mask[:2]))
    with pytest.raises(UsageError, match="not scores"):
        saliency(model, np.ones((1, 4, 6, 1)), 1)
    with pytest.raises(UsageError, match="region is empty"):
        region_target(1, 0 * mask)


def test_each_stream_of_a_video_model_gets_its_own_map():
    rgb, flow = keras.Input((2, 2, 3), name="rgb"), keras.Input((2, 2, 4), name="flow")
    both = layers.Concatenate()([layers.Flatten()(rgb), layers.Flatten()(flow)])
    model = keras.Model({"rgb": rgb, "flow": flow}, layers.Dense(1, use_bias=False)(both))
    weights = np.arange(28, dtype=np.float32)[:, None]
    model.set_weights([weights])
    maps = saliency(model, {"rgb": np.ones((1, 2, 2, 3)), "flow": np.ones((1, 2, 2, 4))}, 0)
    np.testing.assert_allclose(maps["rgb"][0], weights[:12].reshape(2, 2, 3).max(axis=-1))
    np.testing.assert_allclose(maps["flow"][0], weights[12:].reshape(2, 2, 4).max(axis=-1))
