"""Answers at the original size, from a net small enough to follow: its scores are the colours of the picture."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.load import load_config
from retinue.configs.schema import SegmentationConfig
from retinue.pipeline.runtimes import openvino_runtime, tensorflow_runtime
from retinue.tasks.segmentation.postprocessing import inference
from retinue.tasks.segmentation.task import Segmentation


def net(weights=None, classes=3):
    """A 3x3 convolution of colours to scores; by default the identity."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(classes, 3, padding="same", use_bias=False)
    model = keras.Model(image, layer(image))
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[1, 1] = np.eye(3, classes)
    layer.set_weights([kernel if weights is None else weights])
    return model


def ask(model, image, original=None, **settings):
    answer = inference(model, SegmentationConfig(**settings))
    original = np.array([original or image.shape[1:3]] * len(image), np.int32)
    return {name: np.asarray(out) for name, out in answer({"image": image, "original_size": original}).items()}


def blobs(seed=0, size=(12, 16), count=2):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 3)).astype(np.float32)
    return np.asarray(tf.cast(tf.image.resize(coarse, size), tf.uint8))


def test_ids_are_the_best_class_and_confidence_its_probability():
    image = blobs()
    given = ask(net(), image)
    scores = image.astype(np.float64)
    np.testing.assert_array_equal(given["mask"], scores.argmax(-1))
    softmax = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(given["confidence"], (softmax / softmax.sum(-1, keepdims=True)).max(-1), rtol=1e-4)
    assert given["mask"].dtype == np.uint8 and set(given) == {"mask", "confidence"}


def test_many_classes_are_taken_in_groups_and_the_first_of_equals_wins():
    weights = np.zeros((3, 3, 3, 20), np.float32)
    weights[1, 1] = np.random.default_rng(1).normal(size=(3, 20))
    weights[1, 1, :, 11] = weights[1, 1, :, 4]  # two classes that are always equal, in different groups
    image = blobs(2)
    given = ask(net(weights, 20), image)
    expected = (image.astype(np.float32) @ weights[1, 1]).argmax(-1)
    assert (given["mask"] == expected).mean() > 0.99 and not (given["mask"] == 11).any()


def test_scores_are_resized_before_the_best_is_taken():
    image = blobs()
    given = ask(net(), image, original=(30, 37), scores=True)
    large = tf.image.resize(image.astype(np.float32), (30, 37)).numpy()
    np.testing.assert_array_equal(given["mask"], large.argmax(-1))
    assert given["scores"].shape == (2, 30, 37, 3)
    np.testing.assert_allclose(given["scores"].sum(-1), 1, atol=1e-5)


def test_a_mirrored_picture_has_the_mirrored_mask():
    weights = np.random.default_rng(3).normal(0, 0.02, (3, 3, 3, 3)).astype(np.float32)  # sees left and right apart
    image = blobs(4)
    plain, mirrored = ask(net(weights), image), ask(net(weights), image[:, :, ::-1])
    assert (plain["mask"] != mirrored["mask"][:, :, ::-1]).any()  # alone, the net is not symmetric
    plain, mirrored = ask(net(weights), image, flip=True), ask(net(weights), image[:, :, ::-1], flip=True)
    np.testing.assert_array_equal(plain["mask"], mirrored["mask"][:, :, ::-1])


def test_views_are_means_of_probabilities():
    weights = np.random.default_rng(3).normal(0, 0.02, (3, 3, 3, 3)).astype(np.float32)
    image, model = blobs(5), net(weights)
    given = ask(model, image, flip=True, scores=True)["scores"]
    views = [keras.ops.softmax(model(view.astype(np.float32))) for view in (image, image[:, :, ::-1])]
    np.testing.assert_allclose(given, (views[0] + keras.ops.flip(views[1], 2)) / 2, atol=1e-5)
    assert ask(model, image, scales=(0.5, 1.0, 1.5))["mask"].shape == (2, 12, 16)
    one = ask(model, image, scales=(1.0,))["mask"]
    assert (ask(model, image, scales=(2.0,))["mask"] == one).mean() > 0.7  # another scale, nearly the same answer


@pytest.mark.parametrize("settings", [{}, {"flip": True, "scales": (1.0, 2.0), "scores": True}])
def test_openvino_gives_the_same(settings):
    answer = inference(net(np.random.default_rng(6).normal(0, 0.02, (3, 3, 3, 3))), SegmentationConfig(**settings))
    function = tensorflow_runtime.trace(answer)
    inputs = {"image": blobs(7), "original_size": np.array([[25, 31]] * 2, np.int32)}
    one = tensorflow_runtime.TensorFlowRuntime(function, answer)(inputs)
    other = openvino_runtime.OpenVINORuntime(openvino_runtime.convert(function))(inputs)
    assert set(one) == set(other) and (one["mask"] == other["mask"]).mean() > 0.999
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-5)


def test_an_enlarged_photo_has_the_enlarged_mask():
    task = Segmentation(load_config(settings=["task=segmentation", "segmentation.max_size=32"]), ("a", "b", "c"))
    image = blobs(8, (24, 32), 1)
    large = np.repeat(np.repeat(image, 4, axis=1), 4, axis=2)
    read = {name: value.numpy()[None] for name, value in task.prepare(tf.constant(large[0])).items()}
    np.testing.assert_array_equal(read["image"], image)  # made smaller again for the net
    small = ask(net(), image)["mask"]
    again = ask(net(), read["image"], original=tuple(read["original_size"][0]))["mask"]
    assert again.shape == (1, 96, 128) and (again[:, 1::4, 1::4] == small).mean() > 0.95
