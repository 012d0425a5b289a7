"""Faster R-CNN (Ren et al. 2015, arXiv 1506.01497), trained approximately jointly, end to end (section 3.2 there).

There are two architectures. "fpn": a feature pyramid on the backbone's maps of stride 4 and up, anchors of one size on
each level, and two fully connected layers as the head (Lin et al. 2016). "c4": the backbone's map of stride 16, anchors
of all sizes on it, and the rest of the backbone as the head: fc6 and fc7 of VGG, or the last stage of a ResNet ("C4").
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.configs.schema import Config
from retinue.configs.schema_tasks import DetectionConfig
from retinue.tasks.detection import heads, losses
from retinue.tasks.detection.anchors import cell_anchors
from retinue.tasks.detection.feature_pyramid import feature_pyramid
from retinue.tasks.detection.padding import copy_with_masked_padding
from retinue.tasks.detection.proposals import FilterProposals, PostprocessDetections
from retinue.tasks.detection.region_proposal_network import AnchorSampler, GridAnchors, region_proposal_network
from retinue.tasks.detection.roi_align import RoIAlign
from retinue.tasks.model import TaskModel

LOSS_NAMES = ("rpn_objectness", "rpn_box", "class", "box")
FPN_FIRST_STRIDE = 4
C4_STRIDE = 16
ROI_SIZE = 7  # bins on each side that the head sees of a proposal


def largest_stride(architecture: str) -> int:
    """Return the number of pixels that the sides of a batch must be a multiple of."""
    return C4_STRIDE if architecture == "c4" else 32


def build(config: Config, classes: int, weights: str | None = None) -> TaskModel:
    """Build a detector for training.

    Its inputs are image, uint8 `[n, h, w, 3]`, RGB, padded at the right and at the bottom to multiples of
    `largest_stride`; size, int32 `[n, 2]`, the true height and width; boxes, float32 `[n, m, 4]` in pixels of the
    image; labels, int32 `[n, m]`, -1 for padding and -2 for objects to ignore; seed, int32 `[n, 2]`, which alone
    determines the sampling. Its outputs are what the losses of `LOSS_NAMES` are computed from.

    Args:
        config: the configuration.
        classes: number of classes without the background.
        weights: what the backbone loads. By default `config.model.weights`.

    Returns:
        The untrained model.

    Raises:
        UsageError: the backbone or the anchors do not fit the architecture.
    """
    settings = config.detection
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    size = keras.Input((2,), dtype="int32", name="size")
    boxes = keras.Input((None, 4), dtype="float32", name="boxes")
    labels = keras.Input((None,), dtype="int32", name="labels")
    seed = keras.Input((2,), dtype="int32", name="seed")
    size_divisor = largest_stride(settings.architecture)
    weights = config.model.weights if weights is None else weights
    body, tail = _split_backbone(config.model.backbone, weights, settings.architecture, image, size)
    maps = body.output
    if settings.architecture == "fpn":
        maps = feature_pyramid(maps, settings.fpn_channels, size, size_divisor)
    anchors = _cell_anchors(settings, list(maps))
    logits, deltas = region_proposal_network(maps, len(anchors[0]), settings.objectness, size, size_divisor)
    grid = GridAnchors(anchors, list(maps), size_divisor, name="grid_anchors")(logits, deltas, size)
    sampled_anchors = AnchorSampler(
        settings.rpn_batch_size_per_image,
        settings.rpn_positive_fraction,
        settings.rpn_fg_iou,
        settings.rpn_bg_iou,
        settings.train_on_boundary_anchors,
        name="anchor_sampler",
    )(*grid, size, boxes, labels, seed)
    proposals, scores = FilterProposals(
        settings.rpn_pre_nms_top_n_train,
        settings.rpn_post_nms_top_n_train,
        settings.rpn_nms_threshold,
        settings.rpn_min_size,
        name="proposals",
    )(*grid, size)
    sampled = heads.ProposalSampler(
        settings.box_batch_size_per_image,
        settings.box_positive_fraction,
        settings.box_fg_iou,
        settings.box_bg_iou_low,
        name="proposal_sampler",
    )(proposals, scores, boxes, labels, seed)
    roi_size = 2 * ROI_SIZE if tail and not _is_vgg(config.model.backbone) else ROI_SIZE
    strides = [stride for stride in maps if stride <= size_divisor]
    pooled, _ = RoIAlign(strides, roi_size, size_divisor, name="roi_align")(
        [maps[stride] for stride in strides], sampled["proposals"], size
    )
    if tail:
        features = heads.backbone_tail_head(pooled, lambda x: _apply_layers(tail, x)[tail.layers[-1].name])
    else:
        features = heads.two_mlp_head(pooled, settings.box_head_dim)
    class_logits, box_deltas = heads.box_predictor(features, classes)
    outputs = {
        "anchors": sampled_anchors,
        "proposals": sampled | {"class_logits": class_logits, "box_deltas": box_deltas},
    }
    backbone_layers = {layer.name for part in (body, tail) if part for layer in part.layers}
    inputs = {"image": image, "size": size, "boxes": boxes, "labels": labels, "seed": seed}
    loss = make_loss(settings.box_smooth_l1_beta)
    return TaskModel(inputs, outputs, loss, LOSS_NAMES, backbone_layers, name="detection")


def make_loss(box_smooth_l1_beta: float) -> Callable[[Any, Any], dict[str, tf.Tensor]]:
    """Make the loss function of a detector's `TaskModel`.

    Args:
        box_smooth_l1_beta: error at which the box loss of the head changes from quadratic to linear.

    Returns:
        A function from (anything, the model's outputs) to a dict from `LOSS_NAMES` to float32 `[n]`.
    """

    def loss(_: Any, outputs: Any) -> dict[str, tf.Tensor]:
        anchors, proposals = outputs["anchors"], outputs["proposals"]
        is_positive, weights = anchors["is_positive"], anchors["weights"]
        rpn_objectness = losses.objectness_loss(anchors["logits"], is_positive, weights)
        rpn_box = losses.box_loss(
            anchors["deltas"], anchors["targets"], is_positive, weights, losses.RPN_SMOOTH_L1_BETA
        )
        labels, weights = proposals["labels"], proposals["weights"]
        class_loss = losses.class_loss(proposals["class_logits"], labels, weights)
        deltas = losses.select_class_deltas(proposals["box_deltas"], labels)
        is_positive = keras.ops.cast(labels > 0, "float32")
        box_loss = losses.box_loss(deltas, proposals["targets"], is_positive, weights, box_smooth_l1_beta)
        return dict(zip(LOSS_NAMES, (rpn_objectness, rpn_box, class_loss, box_loss), strict=True))

    return loss


def inference(model: keras.Model, settings: DetectionConfig) -> keras.Model:
    """Build the detector for prediction, a flat `keras.Model` that shares the layers of the one for training.

    Its inputs are image and size as in training, and original_size, int32 `[n, 2]`. Its outputs are those of
    `proposals.PostprocessDetections`, and on_map, float32 `[n, r]`, the fraction of each proposal's sampling points
    that lie on the maps.

    Args:
        model: what `build` returned.
        settings: the section `detection` of the configuration.
    """
    image, size = model.get_layer("image").output, model.get_layer("size").output
    original_size = keras.Input((2,), dtype="int32", name="original_size")
    proposals, scores = FilterProposals(
        settings.rpn_pre_nms_top_n_test,
        settings.rpn_post_nms_top_n_test,
        settings.rpn_nms_threshold,
        settings.rpn_min_size,
    )(*_grid_outputs(model), size)
    class_logits, deltas, on_map = _apply_heads(model, _roi_maps(model), size, proposals)
    detections = PostprocessDetections(settings.score_threshold, settings.nms_threshold, settings.max_detections)(
        class_logits, deltas, proposals, scores, size, original_size
    )
    # In bf16, OpenVINO still computes in f32 whatever lies between the last convolution or matrix product and an
    # output. The output on_map therefore keeps the coordinates at which RoIAlign samples in f32; in bf16 they would be
    # wrong by up to half a cell.
    inputs = {"image": image, "size": size, "original_size": original_size}
    return keras.Model(inputs, detections | {"on_map": on_map}, name="inference")


def box_classifier(model: keras.Model) -> keras.Model:
    """Build a classifier of given boxes, a flat `keras.Model` that shares the layers of the detector.

    Its inputs are image, float32 `[n, h, w, 3]` so that gradients can flow to it, otherwise as in training; size, int32
    `[n, 2]`; and boxes, float32 `[n, r, 4]` in pixels of the image. Its outputs are class_logits, float32
    `[n, r, classes + 1]`, background first, and deltas, float32 `[n, r, 4 (classes + 1)]`.

    Args:
        model: what `build` returned.
    """
    image = keras.Input((None, None, 3), name="image")
    size = keras.Input((2,), dtype="int32", name="size")
    boxes = keras.Input((None, 4), name="boxes")
    maps = _roi_maps(model)
    body = keras.Model([model.get_layer(name).output for name in ("image", "size")], maps)
    layer_of_output = {id(operation.output): operation.name for operation in body.operations}
    outputs = _apply_layers(body, [image, size], share_layers=True)
    logits, deltas, _ = _apply_heads(model, [outputs[layer_of_output[id(tensor)]] for tensor in maps], size, boxes)
    inputs = {"image": image, "size": size, "boxes": boxes}
    return keras.Model(inputs, {"class_logits": logits, "deltas": deltas}, name="box_classifier")


def _roi_maps(model: keras.Model) -> list[Any]:
    """Return the feature maps that RoIAlign samples."""
    align = model.get_layer("roi_align")
    return keras.tree.flatten(align.input)[: len(align.strides)]


def _apply_heads(model: keras.Model, maps: Sequence[Any], size: Any, boxes: Any) -> tuple[Any, Any, Any]:
    """Apply RoIAlign and the heads of a detector to boxes on maps: class logits, deltas and on_map, symbolic."""
    align, last = model.get_layer("roi_align"), ("head_classes", "head_boxes")
    pooled, on_map = RoIAlign(align.strides, align.output_size, align.size_divisor, name=align.name)(maps, boxes, size)
    head = keras.Model(align.output[0], [model.get_layer(name).output for name in last])
    outputs = _apply_layers(head, pooled, share_layers=True)
    return outputs[last[0]], outputs[last[1]], on_map


def _grid_outputs(model: keras.Model) -> list[list[Any]]:
    """Return the four lists that the model's `GridAnchors` layer returned."""
    layer = model.get_layer("grid_anchors")
    flat, levels = keras.tree.flatten(layer.output), len(layer.strides)
    return [flat[start : start + levels] for start in range(0, len(flat), levels)]


def _split_backbone(
    name: str, weights: str, architecture: str, image: Any, size: Any
) -> tuple[keras.Model, keras.Model | None]:
    """Build the backbone up to its maps, on `image`, and its rest, which is the head of c4 (None for fpn)."""
    if architecture == "c4":
        source = backbones.build(name, weights=weights, classifier=_is_vgg(name))
        maps = backbones.endpoints(source)
        used = {stride: maps[stride] for stride in (C4_STRIDE,) if stride in maps}
    else:
        source = backbones.build(name, weights=weights)
        maps = source.output
        used = {stride: maps[stride] for stride in maps if stride >= FPN_FIRST_STRIDE}
    if list(used) not in ([4, 8, 16, 32], [C4_STRIDE]):
        listed = ", ".join(map(str, maps))
        needed = f"a map of stride {C4_STRIDE}" if architecture == "c4" else "maps of stride 4, 8, 16 and 32"
        raise UsageError(
            f"model.backbone: {name} has maps of stride {listed}, but detection.architecture={architecture} needs "
            f"{needed}; use another backbone"
        )
    body = copy_with_masked_padding(keras.Model(source.input, used, name=source.name), image, size, max(used))
    return body, _backbone_tail(source, maps) if architecture == "c4" else None


def _backbone_tail(source: keras.Model, maps: dict[int, Any]) -> keras.Model | None:
    """Return the part of a backbone behind the map of stride 16, or None if that has no weights."""
    if "fc7_dropout" in {layer.name for layer in source.layers}:
        return keras.Model(source.get_layer("pool5").output, source.get_layer("fc7_dropout").output)
    tail = keras.Model(maps[C4_STRIDE], maps[max(maps)])
    return tail if tail.weights else None


def _is_vgg(name: str) -> bool:
    return backbones.find(name).family == "vgg"


def _apply_layers(model: keras.Model, tensor: Any, share_layers: bool = False) -> dict[str, Any]:
    """Apply the layers of a functional model to `tensor`. Unlike after a call of the model, the graph stays flat.

    Args:
        model: the functional model.
        tensor: its input or list of inputs.
        share_layers: whether to apply the layers themselves instead of copies of them.

    Returns:
        A dict from the name of each layer to its output.
    """
    outputs: dict[str, Any] = {}

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs[operation.name] = operation(*args, **kwargs)
        return outputs[operation.name]

    clone = (lambda layer: layer) if share_layers else None
    copy = keras.models.clone_model(model, input_tensors=tensor, clone_function=clone, call_function=call)
    if not share_layers:
        copy.set_weights(model.get_weights())
    return outputs


def _cell_anchors(settings: DetectionConfig, strides: Sequence[int]) -> list[np.ndarray]:
    """Return the anchors around (0, 0) of each level, float32 `[k, 4]`."""
    if settings.architecture == "c4":
        return [cell_anchors(settings.anchor_sizes, settings.anchor_ratios)]
    if len(settings.anchor_sizes) != len(strides):
        raise UsageError(
            f"detection.anchor_sizes: there are {len(settings.anchor_sizes)} sizes, but the feature pyramid has "
            f"{len(strides)} levels (strides {', '.join(map(str, strides))}); give one size for each level"
        )
    return [cell_anchors([size], settings.anchor_ratios) for size in settings.anchor_sizes]
