"""A detector small enough to train in a test, on two generated images with three colored boxes."""

import numpy as np
import tensorflow as tf

from retinue.configs.load import load_config
from retinue.tasks.detection import model

SETTINGS = [
    "task=detection",
    "model.weights=none",
    "detection.fpn_channels=16",
    "detection.box_head_dim=32",
    "detection.box_batch_size_per_image=32",
    "detection.rpn_batch_size_per_image=64",
    "detection.rpn_pre_nms_top_n_train=100",
    "detection.rpn_post_nms_top_n_train=100",
    "detection.rpn_pre_nms_top_n_test=50",
    "detection.rpn_post_nms_top_n_test=50",
]
COLORS = ((230, 40, 40), (40, 60, 230))
BOXES = np.array([[[8, 10, 40, 42], [56, 20, 90, 52]], [[20, 24, 52, 60], [0, 0, 0, 0]]], np.float32)
LABELS = np.array([[0, 1], [1, -1]], np.int32)


def detector(backbone="resnet18", anchors=(16, 32, 64, 64, 64), classes=2, settings=()):
    """Build a small detector. Returns (config, model)."""
    own_settings = [f"model.backbone={backbone}", f"detection.anchor_sizes={list(anchors)}"]
    config = load_config(settings=[*SETTINGS, *own_settings, *settings])
    return config, model.build(config, classes)


def batch():
    """Inputs of the model: gray images of 64 x 96 pixels, with boxes that are filled with the color of their class."""
    images = np.full((2, 64, 96, 3), 90, np.uint8)
    for image, boxes, labels in zip(images, BOXES.astype(int), LABELS, strict=True):
        for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
            if label >= 0:
                image[y1:y2, x1:x2] = COLORS[label]
    size = np.full((2, 2), (64, 96), np.int32)
    return {
        "image": images,
        "size": size,
        "boxes": BOXES,
        "labels": LABELS,
        "seed": np.array([[0, 1], [2, 3]], np.int32),
    }


def stream(inputs):
    """Repeat the batch forever, each time with other seeds."""
    data = tf.data.Dataset.from_tensors(inputs).repeat().enumerate()
    return data.map(lambda step, each: (each | {"seed": each["seed"] + tf.cast(step, tf.int32)}, ()))


def losses(detector, inputs):
    """The four losses, one value for each image."""
    return model.make_loss(1 / 9)((), detector(inputs, training=False))
