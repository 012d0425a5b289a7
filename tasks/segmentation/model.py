"""The segmentation nets: a trunk, a head, and the way back to the picture's size."""

from keras import initializers, layers

from retinue.configs.errors import UsageError
from retinue.tasks.classification.losses import balanced_class_weights
from retinue.tasks.model import TaskModel
from retinue.tasks.segmentation import trunk as trunks
from retinue.tasks.segmentation.context import context
from retinue.tasks.segmentation.deeplab import aspp_head, plain_head
from retinue.tasks.segmentation.fcn import FINEST, fcn_head
from retinue.tasks.segmentation.losses import make_loss
from retinue.tasks.segmentation.upsampling import CutLike, ResizeLike, Upsample

BALANCE_POWER = {"sqrt_weights": 0.5, "weights": 1.0}


def build(config, classes, weights=None, pixel_counts=None):
    """The untrained `TaskModel`: RGB float32 `[n, h, w, 3]` in 0..255, any size -> logits float32 `[n, h, w, classes]`.

    config: `Config`; classes: how many; weights: what the backbone loads, by default `config.model.weights`.
    pixel_counts: int `[classes]`, pixels of each class in training; needed where `train.class_balance` weighs them.
    Targets of its loss: int `[n, h, w]`, class ids, 255 for void.
    Raises UsageError for a backbone that the head can't stand on.
    """
    settings, train = config.segmentation, config.train
    weights = config.model.weights if weights is None else weights
    trunk, logits = _net(config.model.backbone, weights, settings, classes)
    class_weights = None
    if train.class_balance in BALANCE_POWER and pixel_counts is not None:
        class_weights = balanced_class_weights(pixel_counts, BALANCE_POWER[train.class_balance])
    loss, names = make_loss(class_weights, settings.focal_gamma, settings.dice_weight, train.label_smoothing)
    return TaskModel(trunk.image, logits, loss, names, trunk.names, name="segmentation")


def _net(backbone, weights, settings, classes):
    """(the `Trunk`, logits as large as its image)."""
    head = settings.head
    with_linear = settings.convert_fc_layers and trunks.has_linear(backbone)
    if settings.context != "none" and head != "front_end":
        raise UsageError("segmentation.context: stands on segmentation.head=front_end only")
    if head in FINEST:
        trunk = trunks.strided_trunk(backbone, weights, with_linear)
        logits = fcn_head(trunk.maps, classes, FINEST[head], settings.at_once, trunk.aligned)
        like = CutLike if trunk.aligned else ResizeLike
        return trunk, like(name="logits")(logits, trunk.image)
    if head == "front_end":
        trunk = trunks.front_end_trunk(backbone, weights, with_linear)
        scores = layers.Conv2D(classes, 1, kernel_initializer=initializers.RandomNormal(stddev=0.001), name="score_8")(
            trunk.maps[8]
        )
        if settings.context != "none":
            scores = context(scores, settings.context)
        return trunk, CutLike(name="logits")(Upsample(8, name="upsample_1")(scores), trunk.image)
    trunk = trunks.dilated_trunk(backbone, weights, settings.output_stride)
    features = trunk.maps[max(trunk.maps)]
    scores = plain_head(features, classes) if head == "fcn" else aspp_head(features, classes)
    return trunk, ResizeLike(name="logits")(scores, trunk.image)
