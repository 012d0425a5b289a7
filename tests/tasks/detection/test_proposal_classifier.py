"""A detector as a classifier of one proposal, on a small detector with known proposals."""

import keras
import numpy as np
import pytest

from retinue.configs.errors import UsageError
from retinue.explain.grad_cam import grad_cam
from retinue.explain.layers import last_feature_map
from retinue.explain.saliency import saliency
from retinue.tasks.detection import model as detection
from retinue.tasks.detection.proposal_classifier import ProposalClassifier, find_proposal
from retinue.tests.helpers.small_detector import batch, detector


@pytest.fixture(scope="module")
def known():
    """(detector, its `ProposalClassifier`, an image whose size is no multiple of the stride, the detections in it)."""
    keras.utils.set_random_seed(0)
    config, model = detector(settings=["detection.score_threshold=0.0"])
    image, size = batch()["image"][:1, :60, :90], np.array([[60, 90]], np.int32)
    noise = np.random.default_rng(0).integers(-30, 30, image.shape)  # without it max pooling would choose among equals
    image = np.uint8(np.clip(image + noise, 0, 255))
    padded = np.pad(image, ((0, 0), (0, 4), (0, 6), (0, 0)))
    outputs = detection.inference(model, config.detection)({"image": padded, "size": size, "original_size": size})
    return model, ProposalClassifier(model), image, {name: np.asarray(value)[0] for name, value in outputs.items()}


def fix_proposal(known, row):
    """Fix the proposal that a detection came from. Return it and the column of the detection's class."""
    _, proposal_classifier, image, outputs = known
    padded = np.pad(image, ((0, 0), (0, 4), (0, 6), (0, 0))).astype(np.float32)
    inputs = {"image": padded, "size": np.array([[60, 90]], np.int32), "boxes": outputs["proposals"][None]}
    heads = {name: np.asarray(value)[0] for name, value in proposal_classifier.heads(inputs).items()}
    label, box = outputs["labels"][row], outputs["boxes"][row]
    index = find_proposal(heads["class_logits"], heads["deltas"], outputs["proposals"], (60, 90), label, box)
    proposal_classifier.set_proposal(outputs["proposals"][index])
    return outputs["proposals"][index], label + 1


def test_the_fixed_proposal_has_the_score_of_the_detection(known):
    _, proposal_classifier, image, outputs = known
    assert outputs["count"] > 3
    for row in range(3):
        _, column = fix_proposal(known, row)
        scores = keras.ops.convert_to_numpy(keras.ops.softmax(proposal_classifier.model(image.astype(np.float32))))
        assert scores.shape == (1, 3)
        assert scores[0, column] == pytest.approx(outputs["scores"][row], abs=1e-5)


def test_saliency_equals_the_change_of_the_score_with_a_pixel(known):
    _, proposal_classifier, image, outputs = known
    proposal, column = fix_proposal(known, 0)
    heatmap = saliency(proposal_classifier.model, image, int(column))[0]
    assert heatmap.shape == (60, 90) and heatmap.max() > 0
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    scores = []
    for step in (-0.02, 0.02):
        changed = np.repeat(image.astype(np.float32), 3, axis=0)
        for channel in range(3):
            changed[channel, y, x, channel] += step
        scores.append(np.asarray(proposal_classifier.model(changed))[:, column])
    slope = np.abs(scores[1] - scores[0]).max() / 0.04
    assert slope == pytest.approx(heatmap[y, x], rel=0.1)


def test_grad_cam_of_the_feature_map_that_the_box_is_pooled_from(known):
    _, proposal_classifier, image, _ = known
    proposal, column = fix_proposal(known, 0)
    layer = proposal_classifier.default_layer(proposal)
    assert layer == "pyramid_out_4"  # boxes with sides of up to 64 pixels are pooled from the finest level
    cam = grad_cam(proposal_classifier.model, image, int(column), layer)
    assert cam.shape == (1, 60, 90) and cam.min() >= 0
    assert last_feature_map(proposal_classifier.model)[0].startswith("pyramid_out")
    with pytest.raises(UsageError, match="head_each: gives no map of the whole image.*pyramid_out_8"):
        grad_cam(proposal_classifier.model, image, int(column), "head_each")


def test_its_weights_are_a_copy_and_the_detector_keeps_its_own(known):
    model, proposal_classifier, _, _ = known
    before = [np.array(weight) for weight in model.get_weights()]
    own = proposal_classifier.model.get_weights()
    proposal_classifier.model.set_weights([0 * weight for weight in own])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    proposal_classifier.model.set_weights(own)


def test_the_c4_architecture_pools_boxes_from_the_map_of_stride_16():
    settings = ["detection.architecture=c4", "detection.score_threshold=0.0"]
    _, model = detector(anchors=(32, 64), settings=settings)
    proposal_classifier = ProposalClassifier(model)
    proposal_classifier.set_proposal([0, 0, 40, 40])
    image = batch()["image"][:1].astype(np.float32)
    heads = proposal_classifier.heads(
        {"image": image, "size": np.array([[64, 96]]), "boxes": np.array([[[0, 0, 40.0, 40]]])}
    )
    np.testing.assert_allclose(proposal_classifier.model(image), np.asarray(heads["class_logits"])[:, 0], atol=1e-5)
    assert proposal_classifier.default_layer([0, 0, 40, 40]) == "stage3_block2_out"
