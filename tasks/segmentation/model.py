"""The segmentation models: a backbone, a head, and the upsampling to the size of the image."""

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import initializers, layers

from retinue.configs.errors import UsageError
from retinue.tasks import class_balance
from retinue.tasks.model import TaskModel
from retinue.tasks.segmentation.backbone import (
    SegmentationBackbone,
    dilated_backbone,
    front_end_backbone,
    has_fc_layers,
    strided_backbone,
)
from retinue.tasks.segmentation.context import context_module
from retinue.tasks.segmentation.dilated_heads import deeplabv3_head, fcn_resnet_head
from retinue.tasks.segmentation.fcn import FINEST_STRIDE, fcn_head
from retinue.tasks.segmentation.losses import make_loss
from retinue.tasks.segmentation.upsampling import CropLike, ResizeLike, Upsample

if TYPE_CHECKING:
    from retinue.configs.schema import Config, SegmentationConfig


def build(
    config: "Config", num_classes: int, weights: str | None = None, pixel_counts: np.ndarray | None = None
) -> TaskModel:
    """Build the untrained model: RGB float32 [n, h, w, 3] in 0..255, any size -> logits float32 [n, h, w, classes].

    The targets of its loss are int [n, h, w], class ids, 255 for void.

    Args:
        config: the configuration.
        num_classes: number of classes.
        weights: what the backbone loads; by default `config.model.weights`.
        pixel_counts: int [classes], training pixels of each class, for `train.class_balance`.

    Returns:
        The `TaskModel`.

    Raises:
        UsageError: the backbone does not fit the head.
    """
    settings, train = config.segmentation, config.train
    weights = config.model.weights if weights is None else weights
    backbone, logits = _build_graph(config.model.backbone, weights, settings, num_classes)
    class_weights = class_balance.class_weights(train.class_balance, pixel_counts)
    loss, names = make_loss(class_weights, settings.focal_gamma, settings.dice_weight, train.label_smoothing)
    return TaskModel(backbone.image, logits, loss, names, backbone.layer_names, name="segmentation")


def _build_graph(
    name: str, weights: str, settings: "SegmentationConfig", num_classes: int
) -> tuple[SegmentationBackbone, keras.KerasTensor]:
    """Return the backbone, and logits of the size of its image."""
    head = settings.head
    convert_fc_layers = settings.convert_fc_layers and has_fc_layers(name)
    if settings.context != "none" and head != "front_end":
        raise UsageError(
            f"segmentation.context: the context module works with segmentation.head=front_end only, not with {head}; "
            "change the head, or set segmentation.context=none"
        )
    if head in FINEST_STRIDE:
        backbone = strided_backbone(name, weights, convert_fc_layers)
        logits = fcn_head(backbone.maps, num_classes, FINEST_STRIDE[head], settings.at_once, backbone.aligned)
        match_size = CropLike if backbone.aligned else ResizeLike
        return backbone, match_size(name="logits")(logits, backbone.image)
    if head == "front_end":
        backbone = front_end_backbone(name, weights, convert_fc_layers)
        initializer = initializers.RandomNormal(stddev=0.001)
        scores = layers.Conv2D(num_classes, 1, kernel_initializer=initializer, name="score_8")(backbone.maps[8])
        if settings.context != "none":
            scores = context_module(scores, settings.context)
        return backbone, CropLike(name="logits")(Upsample(8, name="upsample_1")(scores), backbone.image)
    backbone = dilated_backbone(name, weights, settings.output_stride)
    features = backbone.maps[max(backbone.maps)]
    build_head = fcn_resnet_head if head == "fcn" else deeplabv3_head
    return backbone, ResizeLike(name="logits")(build_head(features, num_classes), backbone.image)
