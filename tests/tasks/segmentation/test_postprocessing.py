"""Predictions at the original size, from a tiny model: its scores are the colors of the image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.load import load_config
from retinue.configs.schema import SegmentationConfig
from retinue.pipeline.runtimes import openvino_runtime, tensorflow_runtime
from retinue.tasks.segmentation.postprocessing import inference
from retinue.tasks.segmentation.task import Segmentation


def build_model(weights=None, classes=3):
    """Build a 3x3 convolution from colors to scores; by default the identity."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(classes, 3, padding="same", use_bias=False)
    model = keras.Model(image, layer(image))
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[1, 1] = np.eye(3, classes)
    layer.set_weights([kernel if weights is None else weights])
    return model


def predict(model, image, original_size=None, **settings):
    inference_model = inference(model, SegmentationConfig(**settings))
    sizes = np.array([original_size or image.shape[1:3]] * len(image), np.int32)
    outputs = inference_model({"image": image, "original_size": sizes})
    return {name: np.asarray(output) for name, output in outputs.items()}


def blobs(seed=0, size=(12, 16), count=2):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 3)).astype(np.float32)
    return np.asarray(tf.cast(tf.image.resize(coarse, size), tf.uint8))


def test_ids_are_the_best_class_and_confidence_its_probability():
    image = blobs()
    outputs = predict(build_model(), image)
    scores = image.astype(np.float64)
    np.testing.assert_array_equal(outputs["mask"], scores.argmax(-1))
    softmax = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(outputs["confidence"], (softmax / softmax.sum(-1, keepdims=True)).max(-1), rtol=1e-4)
    assert outputs["mask"].dtype == np.uint8 and set(outputs) == {"mask", "confidence"}


def test_many_classes_are_processed_in_groups_and_the_first_of_equals_wins():
    weights = np.zeros((3, 3, 3, 20), np.float32)
    weights[1, 1] = np.random.default_rng(1).normal(size=(3, 20))
    weights[1, 1, :, 11] = weights[1, 1, :, 4]  # two classes that are always equal, in different groups
    image = blobs(2)
    outputs = predict(build_model(weights, 20), image)
    expected = (image.astype(np.float32) @ weights[1, 1]).argmax(-1)
    assert (outputs["mask"] == expected).mean() > 0.99 and not (outputs["mask"] == 11).any()


def test_scores_are_resized_before_the_best_is_taken():
    image = blobs()
    outputs = predict(build_model(), image, original_size=(30, 37), export_scores=True)
    large = tf.image.resize(image.astype(np.float32), (30, 37)).numpy()
    np.testing.assert_array_equal(outputs["mask"], large.argmax(-1))
    assert outputs["scores"].shape == (2, 30, 37, 3)
    np.testing.assert_allclose(outputs["scores"].sum(-1), 1, atol=1e-5)


def test_with_flips_a_flipped_image_has_the_flipped_mask():
    weights = np.random.default_rng(3).normal(0, 0.02, (3, 3, 3, 3)).astype(np.float32)  # distinguishes left and right
    image = blobs(4)
    plain, flipped = predict(build_model(weights), image), predict(build_model(weights), image[:, :, ::-1])
    assert (plain["mask"] != flipped["mask"][:, :, ::-1]).any()  # without TTA the model is not symmetric
    plain, flipped = (
        predict(build_model(weights), image, tta_flip=True),
        predict(build_model(weights), image[:, :, ::-1], tta_flip=True),
    )
    np.testing.assert_array_equal(plain["mask"], flipped["mask"][:, :, ::-1])


def test_test_time_augmentation_averages_probabilities():
    weights = np.random.default_rng(3).normal(0, 0.02, (3, 3, 3, 3)).astype(np.float32)
    image, model = blobs(5), build_model(weights)
    outputs = predict(model, image, tta_flip=True, export_scores=True)["scores"]
    copies = [keras.ops.softmax(model(copy.astype(np.float32))) for copy in (image, image[:, :, ::-1])]
    np.testing.assert_allclose(outputs, (copies[0] + keras.ops.flip(copies[1], 2)) / 2, atol=1e-5)
    assert predict(model, image, tta_scales=(0.5, 1.0, 1.5))["mask"].shape == (2, 12, 16)
    one = predict(model, image, tta_scales=(1.0,))["mask"]
    assert (predict(model, image, tta_scales=(2.0,))["mask"] == one).mean() > 0.7  # another scale, nearly the same mask


@pytest.mark.parametrize("settings", [{}, {"tta_flip": True, "tta_scales": (1.0, 2.0), "export_scores": True}])
def test_openvino_predicts_the_same(settings):
    model = inference(
        build_model(np.random.default_rng(6).normal(0, 0.02, (3, 3, 3, 3))), SegmentationConfig(**settings)
    )
    function = tensorflow_runtime.trace(model)
    inputs = {"image": blobs(7), "original_size": np.array([[25, 31]] * 2, np.int32)}
    one = tensorflow_runtime.TensorFlowRuntime(function, model)(inputs)
    other = openvino_runtime.OpenVINORuntime(openvino_runtime.convert(function))(inputs)
    assert set(one) == set(other) and (one["mask"] == other["mask"]).mean() > 0.999
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-5)


def test_an_enlarged_image_has_the_enlarged_mask():
    task = Segmentation(load_config(settings=["task=segmentation", "segmentation.max_size=32"]), ("a", "b", "c"))
    image = blobs(8, (24, 32), 1)
    large = np.repeat(np.repeat(image, 4, axis=1), 4, axis=2)
    read = {name: value.numpy()[None] for name, value in task.prepare(tf.constant(large[0])).items()}
    np.testing.assert_array_equal(read["image"], image)  # shrunk again for the model
    small = predict(build_model(), image)["mask"]
    again = predict(build_model(), read["image"], original_size=tuple(read["original_size"][0]))["mask"]
    assert again.shape == (1, 96, 128) and (again[:, 1::4, 1::4] == small).mean() > 0.95
