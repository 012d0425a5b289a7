import numpy as np
import tensorflow as tf

from retinue.tasks.segmentation.upsampling import PadToMultiple, Upsample, bilinear_kernel


def test_the_kernel_is_that_of_the_paper():
    np.testing.assert_allclose(bilinear_kernel(4)[0] / bilinear_kernel(4)[0, 0], [1, 3, 3, 1], rtol=1e-6)
    np.testing.assert_allclose(bilinear_kernel(3), np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]))
    assert bilinear_kernel(64).sum() == 32 * 32  # each input pixel is distributed completely


def test_a_constant_stays_constant_and_a_ramp_stays_a_ramp():
    constant = np.full((1, 3, 5, 2), 7.0, np.float32)
    np.testing.assert_allclose(Upsample(8)(constant), np.full((1, 24, 40, 2), 7.0), rtol=1e-6)
    ramp = np.broadcast_to(np.arange(5, dtype=np.float32)[:, None], (5, 4))[None, :, :, None]
    outputs = np.asarray(Upsample(4)(ramp))[0, :, :, 0]
    inside = outputs[2:-2]  # between the centers of the first and the last row
    np.testing.assert_allclose(np.diff(inside[:, 3]), 0.25, atol=1e-6)
    assert inside[0, 3] == 0.125 and np.ptp(outputs, axis=1).max() < 1e-6


def test_upsampling_equals_bilinear_resizing_and_keeps_channels_separate():
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
    for factor in (2, 8, 32):
        for learnable in (False, True):
            np.testing.assert_allclose(
                Upsample(factor, learnable)(x), tf.image.resize(x, (4 * factor, 3 * factor)), atol=1e-5
            )


def test_only_a_learnable_layer_has_a_weight():
    fixed, learnable = Upsample(2), Upsample(2, learnable=True)
    for layer in (fixed, learnable):
        layer(np.zeros((1, 2, 2, 3), np.float32))
    assert fixed.weights == [] and [tuple(weight.shape) for weight in learnable.weights] == [(4, 4, 3)]


def test_padding_has_the_color():
    image = np.zeros((1, 3, 5, 3), np.float32)
    outputs = np.asarray(PadToMultiple(4, (1.0, 2.0, 3.0))(image))
    assert outputs.shape == (1, 4, 8, 3)
    assert (
        (outputs[0, :3, :5] == 0).all()
        and (outputs[0, 3] == [1, 2, 3]).all()
        and (outputs[0, :, 5:] == [1, 2, 3]).all()
    )
    assert PadToMultiple(4, (1.0, 2.0, 3.0))(image[:, :, :4])[:, :3].shape == (1, 3, 4, 3)
