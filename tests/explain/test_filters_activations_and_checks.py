"""Filters, activations, the checks of maps, the callback, and the drawings."""

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from retinue.configs.errors import UsageError
from retinue.explain import grad_cam, integrated_gradients, neuron_gradient, occlusion, saliency, sanity_checks
from retinue.explain import visualization as drawing
from retinue.explain.activations import activations
from retinue.explain.activations import draw as draw_activations
from retinue.explain.callback import GradCamCallback
from retinue.explain.filters import draw as draw_filters
from retinue.explain.filters import filters
from retinue.explain.layers import last_feature_map
from retinue.tests.helpers.explain_models import linear_model, random_images, tiny_convnet


def test_filters_are_the_first_convolutions_or_the_named_ones():
    model = tiny_convnet()
    name, kernels = filters(model)
    assert name == "conv1" and kernels.shape == (8, 3, 3, 3)
    np.testing.assert_array_equal(kernels[5], np.asarray(model.get_layer("conv1").kernel)[..., 5])
    assert filters(model, "conv2")[1].shape == (6, 3, 3, 8)
    with pytest.raises(UsageError, match="logits: is no convolution"):
        filters(model, "logits")
    with pytest.raises(UsageError, match="has no convolution"):
        filters(linear_model()[0])


def test_the_last_map_is_before_the_last_pool_whatever_is_pooled_on_the_way():
    """A squeeze-and-excitation block pools, too, and a pool that keeps its dimensions gives a map of one position."""
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    squeezed = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = keras.layers.Multiply(name="excited")([x, keras.layers.Dense(4, "sigmoid")(squeezed)])
    x = keras.layers.Conv2D(4, 3, name="second")(x)
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Conv2D(8, 1, name="wide")(pooled)))
    assert last_feature_map(keras.Model(image, logits))[0] == "second"


def test_filters_are_scaled_each_on_its_own_or_all_together():
    kernels = np.zeros((2, 1, 2, 3), np.float32)
    kernels[0, 0, 1], kernels[1, 0, 1] = 1, 2
    own, together = (np.unique(draw_filters(kernels, scale_each=each, side=64)) for each in (True, False))
    np.testing.assert_array_equal(own, [0, 255])
    np.testing.assert_array_equal(together, [0, 128, 255])


def test_activations_are_the_strongest_channels_in_the_images_size():
    model, images = tiny_convnet(), random_images(2)
    maps, channels = activations(model, images, "pool", top_k=3)
    assert maps.shape == (2, 16, 16, 3) and channels.shape == (2, 3)
    maximum = np.asarray(keras.Model(model.input, model.get_layer("pool").output)(images)).max(axis=(1, 2))
    np.testing.assert_array_equal(channels[1], np.argsort(-maximum[1], kind="stable")[:3])
    assert draw_activations(np.zeros((16, 16, 3), np.uint8), maps[0]).shape[2] == 3


def total(images):
    return images.sum(axis=(1, 2, 3))[:, None] / 10


def test_deletion_and_insertion_by_hand():
    """Four pixels 1 2 3 4 above a mean of 2.5, of which a tenth of the sum counts."""
    image = np.array([1.0, 2, 3, 4], np.float32).reshape(1, 4, 1)
    curves = sanity_checks.curves(total, image, 0, np.array([[1, 2, 3, 4]]), steps=4)
    np.testing.assert_allclose(curves.fractions, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curves.deletion, [1, 0.85, 0.8, 0.85, 1])  # 4, 3, 2, 1 become 2.5
    assert curves.insertion[-1] == pytest.approx(1)
    assert curves.deletion_area == pytest.approx((0.5 + 0.85 + 0.8 + 0.85 + 0.5) / 4)
    with pytest.raises(UsageError, match="must have the same size"):
        sanity_checks.curves(total, image, 0, np.ones((2, 4)))


def test_a_good_map_falls_earlier_and_rises_earlier_than_a_bad_one():
    image = np.zeros((16, 16, 1), np.float32)
    image[4:8, 4:8] = 1
    good, bad = (sanity_checks.curves(total, image, 0, sign * image[..., 0]) for sign in (1, -1))
    assert good.deletion_area < bad.deletion_area and good.insertion_area > bad.insertion_area
    plot = sanity_checks.draw({"good": good, "random order": bad}, {"good": [("a", 0.5), ("b", 0.1)]}, side=320)
    assert plot.shape == (320, 320, 3)


def test_ranks_and_their_correlation():
    assert sanity_checks.spearman(np.array([1, 2, 3]), np.array([10, 100, 1000])) == pytest.approx(1)
    assert sanity_checks.spearman(np.array([1, 2, 3]), np.array([3, 2, 1])) == pytest.approx(-1)
    assert sanity_checks.spearman(np.array([1, 2, 3]), np.array([5, 5, 5])) == 0
    # ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: covariance 4.5 over sqrt(4.5 * 5)
    assert sanity_checks.spearman(np.array([1, 2, 2, 3]), np.array([1, 2, 3, 4])) == pytest.approx(
        4.5 / np.sqrt(4.5 * 5)
    )


def test_randomized_layers_from_the_top_and_the_model_as_it_was():
    model, images = tiny_convnet(), random_images(1)
    before = model.get_weights()
    correlations = sanity_checks.randomization(model, lambda: saliency.saliency(model, images, 0))
    assert [name for name, _ in correlations] == ["logits", "conv2", "conv1"]
    assert correlations[-1][1] < 0.9
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    edges = sanity_checks.randomization(model, lambda: images.mean(axis=-1))  # a map of the image alone does not change
    assert all(value == pytest.approx(1) for _, value in edges)
    assert len(sanity_checks.randomization(model, lambda: images.mean(axis=-1), max_layers=2)) == 2


def test_the_callback_writes_a_map_of_each_image_after_every_epoch(tmp_path):
    model = tiny_convnet()
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    images = np.uint8(random_images(3))
    callback = GradCamCallback(tmp_path, images[:2], [0, 2], ["0 cat", "1 dog"])
    model.fit(images, np.array([0, 1, 2]), epochs=2, verbose=0, callbacks=[callback])
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    assert sorted(events.Tags()["tensors"]) == ["grad_cam/0 cat", "grad_cam/1 dog"]
    assert [event.step for event in events.Tensors("grad_cam/0 cat")] == [1, 2]
    size = events.Tensors("grad_cam/0 cat")[0].tensor_proto.string_val[:2]
    assert size == [b"32", b"16"]  # the image and its map, side by side


def test_drawings_have_the_size_of_what_they_draw_and_show_where():
    image = np.full((20, 30, 3), 100, np.uint8)
    array = np.zeros((20, 30), np.float32)
    array[5, 7] = 1
    for method in (saliency, grad_cam, occlusion):
        drawn = method.draw(image, array).astype(int).sum(axis=-1)
        assert drawn.shape == (20, 30) and np.unravel_index(drawn.argmax(), drawn.shape) == (5, 7)
    signed = np.zeros((20, 30, 3), np.float32)
    signed[2, 3], signed[4, 5] = 1, -1
    drawn = integrated_gradients.draw(image, signed).astype(int)
    assert drawn[2, 3, 0] > drawn[2, 3, 2] and drawn[4, 5, 2] > drawn[4, 5, 0]
    assert tuple(neuron_gradient.draw(image, signed)[2, 3]) == (255, 255, 255)
    assert tuple(neuron_gradient.draw(image, signed)[0, 0]) == (128, 128, 128)


def test_a_map_of_nothing_is_drawn_as_nothing():
    image = np.full((20, 30, 3), 100, np.uint8)
    assert saliency.draw(image, np.zeros((20, 30))).max() <= 4
    assert len(np.unique(grad_cam.draw(image, np.zeros((20, 30))))) == 1


def test_a_contact_sheet_takes_images_of_any_shape():
    cells = [
        (np.zeros((h, w, 3), np.uint8), ["one", "two"][:n]) for h, w, n in [(50, 100, 2), (90, 30, 1), (10, 10, 2)]
    ]
    sheet = drawing.contact_sheet(cells, columns=2, side=300)
    assert sheet.shape[1] == 2 * 300 + 8 and sheet.shape[2] == 3
