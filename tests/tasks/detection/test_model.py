"""The detector as a whole: it can be trained, its outputs do not depend on the batch, and misfits are errors."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.tasks.detection import model
from retinue.tasks.detection.padding import MaskPadding
from retinue.tests.helpers import small_detector as small


@pytest.fixture(scope="module")
def built():
    keras.utils.set_random_seed(0)
    return small.detector()


def test_the_graph_is_flat_and_knows_its_backbone(built):
    _, detector = built
    assert not [layer for layer in detector.layers if isinstance(layer, keras.Model)]
    head = {layer.name for layer in detector.head if layer.weights}
    assert head == {
        *(f"pyramid_{part}_{stride}" for part in ("lateral", "out") for stride in (4, 8, 16, 32)),
        *("rpn_conv", "rpn_objectness", "rpn_deltas", "head_fc6", "head_fc7", "head_classes", "head_boxes"),
    }
    count = sum(layer.count_params() for layer in detector.backbone)
    assert count == backbones.build("resnet18", weights="none").count_params()


def test_a_batch_without_objects_is_finite_and_has_no_box_loss(built):
    _, detector = built
    inputs = small.batch()
    for boxes, labels in (
        (np.zeros((2, 0, 4), np.float32), np.zeros((2, 0), np.int32)),
        (np.zeros((2, 3, 4), np.float32), np.full((2, 3), -1, np.int32)),
    ):
        with tf.GradientTape() as tape:
            losses = small.losses(detector, inputs | {"boxes": boxes, "labels": labels})
            total = tf.reduce_sum(sum(losses.values()))
        gradients = [gradient for gradient in tape.gradient(total, detector.trainable_weights) if gradient is not None]
        assert all(np.isfinite(tf.convert_to_tensor(gradient)).all() for gradient in gradients)
        assert (losses["rpn_box"].numpy() == 0).all() and (losses["box"].numpy() == 0).all()
        assert (losses["rpn_objectness"].numpy() > 0).all() and (losses["class"].numpy() > 0).all()


def test_the_losses_of_an_image_do_not_depend_on_the_other_images(built):
    _, detector = built
    inputs = small.batch()
    together = small.losses(detector, inputs)
    alone = small.losses(
        detector, {name: value[1:, :1] if name in ("boxes", "labels") else value[1:] for name, value in inputs.items()}
    )
    for name, loss in together.items():
        np.testing.assert_allclose(loss[1:], alone[name], rtol=1e-4, atol=1e-6)


def test_no_gradient_flows_through_proposals(built):
    """The losses of the head reach the RPN only through the shared maps, which this model leaves out."""
    _, detector = built
    sampled = keras.Model(detector.input, detector.output["proposals"]["proposals"])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(sampled(small.batch()))
    assert all(gradient is None for gradient in tape.gradient(total, detector.trainable_weights))


def trace_inference(config, detector):
    return tensorflow_runtime.trace(model.inference(detector, config.detection))


def noise_images(sizes):
    largest = -(-np.max(sizes, 0) // 32) * 32
    images = np.zeros((len(sizes), *largest, 3), np.uint8)
    for image, (height, width) in zip(images, sizes, strict=True):
        noise = np.random.default_rng(height).uniform(0, 255, (height // 8 + 1, width // 8 + 1, 3))
        image[:height, :width] = np.kron(noise, np.ones((8, 8, 1)))[:height, :width]
    sizes = np.array(sizes, np.int32)
    return {"image": images, "size": sizes, "original_size": 2 * sizes}


def spread_outputs(detector, inputs):
    """Scale the last layers of an untrained model, so that its outputs differ by more than rounding errors."""
    truth = {name: value for name, value in small.batch().items() if name in ("boxes", "labels", "seed")}
    inputs = {name: inputs[name][:2] for name in ("image", "size")} | truth
    grid, heads = keras.tree.flatten(detector.get_layer("grid_anchors").output), detector.output["proposals"]
    levels = len(grid) // 4
    for name, tensor, wanted in (
        ("rpn_objectness", grid[0], 2.0),
        ("rpn_deltas", grid[levels], 0.3),
        ("head_classes", heads["class_logits"], 2.0),
        ("head_boxes", heads["box_deltas"], 1.0),
    ):
        layer = detector.get_layer(name)
        layer.kernel.assign(layer.kernel * (wanted / np.std(keras.Model(detector.input, tensor)(inputs))))


SIZES = [(64, 96), (50, 33), (96, 40), (33, 120), (64, 64), (70, 90), (40, 40), (61, 99)]


@pytest.mark.parametrize(
    ("backbone", "settings", "anchors", "with_openvino"),
    [
        # test_torchvision.py also compares the outputs of a pyramid in OpenVINO.
        ("efficientnet_lite0", (), (16, 32, 64, 64, 64), False),
        ("resnet18", ("detection.architecture=c4", "detection.objectness=softmax"), (16, 32, 64), True),
        pytest.param("efficientnet_lite0", (), (16, 32, 64, 64, 64), True, marks=pytest.mark.slow),
        pytest.param("seresnet50", (), (16, 32, 64, 64, 64), True, marks=pytest.mark.slow),
        pytest.param("densenet121", (), (16, 32, 64, 64, 64), True, marks=pytest.mark.slow),
        pytest.param("keras/MobileNetV2", (), (16, 32, 64, 64, 64), True, marks=pytest.mark.slow),
    ],
)
def test_batches_of_1_3_and_8_have_the_same_outputs_in_tensorflow_and_openvino(
    backbone, settings, anchors, with_openvino
):
    keras.utils.set_random_seed(1)
    config, detector = small.detector(backbone, anchors, settings=settings)
    inputs = noise_images(SIZES)
    spread_outputs(detector, inputs)
    run = trace_inference(config, detector)
    eight = {name: value.numpy() for name, value in run(**_tensors(inputs)).items()}
    assert (eight["count"] > 0).all()
    three = run(**_tensors(noise_images(SIZES[:3])))
    one = [run(**_tensors(noise_images([size]))) for size in SIZES[:3]]
    for row in range(3):
        for outputs in (
            ({name: value[row] for name, value in three.items()}),
            ({name: value[0] for name, value in one[row].items()}),
        ):
            _assert_close(outputs, {name: value[row] for name, value in eight.items()})
    if not with_openvino:
        return
    runtime = runtimes.start(run, detector, "openvino", "f32")(inputs)
    for row in range(8):
        _assert_close(
            {name: value[row] for name, value in runtime.items()}, {name: value[row] for name, value in eight.items()}
        )


def _tensors(inputs):
    return {name: tf.constant(value) for name, value in inputs.items()}


def _assert_close(outputs, expected):
    count = int(expected["count"])
    assert int(outputs["count"]) == count
    np.testing.assert_allclose(np.asarray(outputs["scores"]), expected["scores"], atol=1e-4)
    np.testing.assert_allclose(np.asarray(outputs["boxes"])[:count], expected["boxes"][:count], atol=0.02)
    np.testing.assert_array_equal(np.asarray(outputs["labels"])[:count], expected["labels"][:count])


def test_masking_of_padding_keeps_zeros_and_means():
    x, size = tf.ones([2, 4, 6, 1]), tf.constant([[5, 12], [8, 3]])
    masked = MaskPadding(2, 4)(x, size).numpy()[..., 0]
    assert masked[0].sum() == 4 * 6 and masked[1].sum() == 4 * 2 and masked[1, :, 2:].sum() == 0
    means = MaskPadding(2, 4, mean=True)(3 * x, size).numpy().mean((1, 2, 3))
    np.testing.assert_allclose(means, [3, 3])


@pytest.mark.slow
def test_it_can_be_trained_on_two_images():
    keras.utils.set_random_seed(0)
    config, detector = small.detector()
    for layer in detector.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    detector.compile(optimizer=keras.optimizers.Adam(3e-3))
    history = detector.fit(small.stream(small.batch()), steps_per_epoch=100, shuffle=False, verbose=0).history
    assert set(history) == {"loss", *model.LOSS_NAMES}
    inputs = small.batch()
    outputs = model.inference(detector, config.detection)(
        {"image": inputs["image"], "size": inputs["size"], "original_size": inputs["size"]}, training=False
    )
    for row in range(2):
        for box, label in zip(small.BOXES[row], small.LABELS[row], strict=True):
            if label < 0:
                continue
            same_label = outputs["labels"][row].numpy() == label
            is_near = np.abs(outputs["boxes"][row].numpy() - box).max(1) < 8
            assert outputs["scores"][row].numpy()[same_label & is_near].max(initial=0) > 0.5, (row, box)


@pytest.mark.parametrize(
    ("backbone", "settings", "message"),
    [
        ("inception_v3", (), "can't be the backbone of a detector"),
        ("lenet5", (), "has maps of stride .* needs maps of stride 4, 8, 16 and 32"),
        ("resnet18", ("detection.anchor_sizes=[32, 64]",), "2 sizes, but the feature pyramid has 5 levels"),
    ],
)
def test_a_backbone_or_anchors_that_do_not_fit_are_an_error(backbone, settings, message):
    with pytest.raises(UsageError, match=message):
        small.detector(backbone, settings=settings)


def test_losses_do_not_depend_on_the_padding_of_an_image():
    """The sampling of anchors and proposals does not change in a batch with a larger image."""
    _, detector = small.detector()
    for name, factor in (("rpn_objectness", 100), ("head_classes", 10)):  # so that it matters which are sampled
        kernel = detector.get_layer(name).kernel
        kernel.assign(kernel * factor)
    inputs = small.batch()
    padded = inputs | {"image": np.pad(inputs["image"], ((0, 0), (0, 64), (0, 32), (0, 0)))}
    expected, losses = small.losses(detector, inputs), small.losses(detector, padded)
    for name in expected:
        np.testing.assert_allclose(losses[name], expected[name], rtol=1e-4, err_msg=name)


REPLICAS = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from retinue.tests.helpers import small_detector as small
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
results = []
for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
    strategy = tf.distribute.MirroredStrategy(devices)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        _, detector = small.detector(**json.loads(sys.argv[1]))
        for layer in detector.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        detector.compile(optimizer=keras.optimizers.SGD(1e-5))
    history = detector.fit(small.stream(small.batch()), steps_per_epoch=2, shuffle=False, verbose=0).history
    names = ("head_classes", "rpn_conv", "stem_conv", *sys.argv[2:])
    results.append((history, [detector.get_layer(name).kernel.numpy() for name in names]))
(one, first), (two, second) = results
for name in ("rpn_objectness", "rpn_box", "class", "box"):
    np.testing.assert_allclose(one[name], two[name], rtol=1e-3, err_msg=name)
for a, b in zip(first, second):
    np.testing.assert_allclose(a, b, atol=1e-5 * abs(a).max())
print("equal")
"""


# The architecture with one level has a third of the operations of a pyramid, and the same losses and samples.
@pytest.mark.parametrize(
    ("options", "more_layers"),
    [
        ({"anchors": (16, 32, 64), "settings": ["detection.architecture=c4"]}, ()),
        pytest.param({}, ("pyramid_out_4",), marks=pytest.mark.slow),
    ],
    ids=["c4", "fpn"],
)
def test_two_replicas_have_the_losses_and_weights_of_one(options, more_layers):
    command = [sys.executable, "-c", REPLICAS, json.dumps(options), *more_layers]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert finished.stdout.strip().endswith("equal"), finished.stderr[-2000:]
