import numpy as np

from retinue.tasks.segmentation.losses import dice_loss, make_loss, pixel_cross_entropy

# An image of 2 x 2 pixels, two classes, the last pixel void; the softmax of (0, log 3) is (1/4, 3/4)
LOGITS = np.log(np.array([[[[1, 3], [1, 1]], [[3, 1], [1, 9]]]], np.float32))
TARGETS = np.array([[[1, 0], [1, 255]]], np.uint8)


def test_cross_entropy_by_hand_ignores_void():
    expected = -(np.log(0.75) + np.log(0.5) + np.log(0.25)) / 3
    np.testing.assert_allclose(pixel_cross_entropy(TARGETS, LOGITS), [expected], rtol=1e-6)


def test_pixels_are_weighted_by_their_true_class():
    expected = -(3 * np.log(0.75) + 2 * np.log(0.5) + 3 * np.log(0.25)) / 3
    np.testing.assert_allclose(pixel_cross_entropy(TARGETS, LOGITS, [2.0, 3.0]), [expected], rtol=1e-6)


def test_focal_loss_by_hand():
    expected = -(0.25**2 * np.log(0.75) + 0.5**2 * np.log(0.5) + 0.75**2 * np.log(0.25)) / 3
    np.testing.assert_allclose(pixel_cross_entropy(TARGETS, LOGITS, focal_gamma=2.0), [expected], rtol=1e-5)


def test_label_smoothing_by_hand():
    plain = -(np.log(0.75) + np.log(0.5) + np.log(0.25)) / 3
    uniform = -(np.log(0.75 * 0.25) / 2 + np.log(0.5) + np.log(0.75 * 0.25) / 2) / 3
    smoothed = pixel_cross_entropy(TARGETS, LOGITS, label_smoothing=0.2)
    np.testing.assert_allclose(smoothed, [0.8 * plain + 0.2 * uniform], rtol=1e-5)


def test_dice_by_hand():
    of_zero = 1 - 2 * 0.5 / (0.25 + 0.5 + 0.75 + 1)
    of_one = 1 - 2 * (0.75 + 0.25) / (0.75 + 0.5 + 0.25 + 2)
    np.testing.assert_allclose(dice_loss(TARGETS, LOGITS), [(of_zero + of_one) / 2], rtol=1e-6)


def test_dice_omits_classes_that_are_not_in_the_mask():
    only_one = np.array([[[1, 1], [1, 255]]], np.uint8)
    np.testing.assert_allclose(dice_loss(only_one, LOGITS), [1 - 2 * 1.5 / (1.5 + 3)], rtol=1e-6)


def test_the_loss_of_an_image_that_is_all_void_is_zero():
    void = np.full((2, 2, 2), 255, np.uint8)
    logits = np.repeat(LOGITS, 2, axis=0)
    assert (np.asarray(pixel_cross_entropy(void, logits)) == 0).all()
    assert (np.asarray(dice_loss(void, logits)) == 0).all()


def test_the_terms_of_the_loss_have_names_and_weights():
    loss, names = make_loss(dice_weight=0.5)
    terms = loss(TARGETS, LOGITS)
    assert tuple(terms) == names == ("cross_entropy", "dice")
    np.testing.assert_allclose(terms["dice"], 0.5 * np.asarray(dice_loss(TARGETS, LOGITS)))
    assert make_loss()[1] == ("cross_entropy",)
