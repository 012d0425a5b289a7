"""Faster R-CNN (Ren et al. 2015, arXiv 1506.01497), trained approximately jointly, end to end (section 3.2 there).

Two styles. "fpn": a pyramid over the backbone's maps of stride 4 and up, anchors of one size a level, two linear layers
as the head (Lin et al. 2016). "c4": the backbone's map of stride 16, anchors of all sizes on it, and the rest of
the backbone as the head: fc6 and fc7 of VGG, the last stage of ResNet ("C4").
"""

import keras

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.tasks.detection import heads, losses
from retinue.tasks.detection.anchors import cell_anchors
from retinue.tasks.detection.feature_pyramid import feature_pyramid
from retinue.tasks.detection.padding import copy_with_padding_hidden
from retinue.tasks.detection.proposals import Detections, Proposals
from retinue.tasks.detection.region_proposal_network import AnchorGrid, AnchorSamples, region_proposal_network
from retinue.tasks.detection.roi_align import RoIAlign
from retinue.tasks.model import TaskModel

LOSS_NAMES = ("rpn_objectness", "rpn_box", "class", "box")
FINEST = 4  # the pyramid's first stride
C4_STRIDE = 16  # the stride of the classic architecture's map
POOLED = 7  # places a side that the head sees of a proposal


def largest_stride(architecture):
    """What the sides of a batch must be a multiple of."""
    return C4_STRIDE if architecture == "c4" else 32


def build(config, classes, weights=None):
    """The untrained `TaskModel` of a detector.

    config: `Config`; classes: how many; weights: what the backbone loads, by default `config.model.weights`.
    Inputs: image uint8 `[n, h, w, 3]` RGB, padded at the right and at the bottom to multiples of `largest_stride`;
    size int32 `[n, 2]`, true height and width; boxes float32 `[n, m, 4]` in pixels of the image; labels int32 `[n, m]`,
    -1 for padding, -2 for what is to be ignored; seed int32 `[n, 2]`, of which alone the sampling is a function.
    Outputs: what the losses of `LOSS_NAMES` are made of.
    Raises UsageError for a backbone or anchors that do not fit the architecture.
    """
    settings = config.detection
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    size = keras.Input((2,), dtype="int32", name="size")
    boxes = keras.Input((None, 4), dtype="float32", name="boxes")
    labels = keras.Input((None,), dtype="int32", name="labels")
    seed = keras.Input((2,), dtype="int32", name="seed")
    multiple = largest_stride(settings.architecture)
    weights = config.model.weights if weights is None else weights
    body, tail = _backbone(config.model.backbone, weights, settings.architecture, image, size)
    maps = body.output
    if settings.architecture == "fpn":
        maps = feature_pyramid(maps, settings.fpn_channels, size, multiple)
    cells = _cells(settings, list(maps))
    logits, deltas = region_proposal_network(maps, len(cells[0]), settings.objectness, size, multiple)
    grid = AnchorGrid(cells, list(maps), multiple, name="anchor_grid")(logits, deltas, size)
    sampled_anchors = AnchorSamples(
        settings.rpn_batch_size_per_image, settings.train_on_boundary_anchors, name="anchor_samples"
    )(*grid, size, boxes, labels, seed)
    proposals, scores = Proposals(
        settings.rpn_pre_nms_top_n_train,
        settings.rpn_post_nms_top_n_train,
        settings.rpn_min_size,
        name="rpn_post_nms_top_n_train",
    )(*grid, size)
    sampled = heads.ProposalSamples(
        settings.box_batch_size_per_image, settings.box_bg_iou_low, name="proposal_samples"
    )(proposals, scores, boxes, labels, seed)
    bins = 2 * POOLED if tail and not _is_vgg(config.model.backbone) else POOLED
    strides = [stride for stride in maps if stride <= multiple]
    pooled, _ = RoIAlign(strides, bins, multiple, name="roi_align")(
        [maps[stride] for stride in strides], sampled["proposals"], size
    )
    if tail:
        features = heads.tail_of_backbone(pooled, lambda x: _continue(tail, x)[tail.layers[-1].name])
    else:
        features = heads.two_linear_layers(pooled, settings.box_head_dim)
    class_logits, box_deltas = heads.class_and_box(features, classes)
    outputs = {
        "anchors": sampled_anchors,
        "proposals": sampled | {"class_logits": class_logits, "box_deltas": box_deltas},
    }
    names = {layer.name for part in (body, tail) if part for layer in part.layers}
    inputs = {"image": image, "size": size, "boxes": boxes, "labels": labels, "seed": seed}
    return TaskModel(inputs, outputs, make_loss(settings.box_smooth_l1_beta), LOSS_NAMES, names, name="detection")


def make_loss(box_smooth_l1_beta):
    """The loss function of a detector's `TaskModel`: its outputs -> dict of `LOSS_NAMES` to float32 `[n]`."""

    def loss(_, outputs):
        anchors, proposals = outputs["anchors"], outputs["proposals"]
        is_object = anchors["is_object"]
        objectness = losses.objectness_loss(anchors["logits"], is_object, anchors["weights"])
        shape = losses.box_loss(
            anchors["deltas"], anchors["targets"], is_object, anchors["weights"], losses.PROPOSAL_BETA
        )
        labels, weights = proposals["labels"], proposals["weights"]
        named = losses.class_loss(proposals["class_logits"], labels, weights)
        deltas = losses.deltas_of_class(proposals["box_deltas"], labels)
        placed = losses.box_loss(
            deltas, proposals["targets"], keras.ops.cast(labels > 0, "float32"), weights, box_smooth_l1_beta
        )
        return dict(zip(LOSS_NAMES, (objectness, shape, named, placed), strict=True))

    return loss


def inference(model, settings):
    """The detector that answers, a flat `keras.Model` with the layers of `model`, which `build` made.

    settings: `DetectionConfig`. Inputs: image and size as in training, original_size int32 `[n, 2]`. Outputs: see
    `proposals.Detections`; and on_map float32 `[n, r]`, the share of each proposal's points that lie on the maps.
    """
    image, size = model.get_layer("image").output, model.get_layer("size").output
    original_size = keras.Input((2,), dtype="int32", name="original_size")
    proposals, scores = Proposals(
        settings.rpn_pre_nms_top_n_test, settings.rpn_post_nms_top_n_test, settings.rpn_min_size
    )(*_grid(model), size)
    class_logits, deltas, on_map = _heads(model, _maps(model), size, proposals)
    found = Detections(settings.score_threshold, settings.nms_threshold, settings.max_detections)(
        class_logits, deltas, proposals, scores, size, original_size
    )
    # In bf16 OpenVINO still computes in f32 what outputs are made of since the last convolution or product of matrices.
    # So this output keeps the places that RoIAlign reads in f32; in bf16 they would be off by up to half a place.
    inputs = {"image": image, "size": size, "original_size": original_size}
    return keras.Model(inputs, found | {"on_map": on_map}, name="inference")


def box_classifier(model):
    """The detector as a classifier of given boxes, a flat `keras.Model` with the layers of `model`.

    Inputs: image float32 `[n, h, w, 3]`, else as in training, so that gradients can flow to it; size int32 `[n, 2]`;
    boxes float32 `[n, r, 4]` in pixels of the image. Outputs: class_logits float32 `[n, r, classes + 1]`, background
    first, and deltas `[n, r, 4 (classes + 1)]`.
    """
    image = keras.Input((None, None, 3), name="image")
    size = keras.Input((2,), dtype="int32", name="size")
    boxes = keras.Input((None, 4), name="boxes")
    maps = _maps(model)
    body = keras.Model([model.get_layer(name).output for name in ("image", "size")], maps)
    maker = {id(operation.output): operation.name for operation in body.operations}
    made = _continue(body, [image, size], share=True)
    logits, deltas, _ = _heads(model, [made[maker[id(tensor)]] for tensor in maps], size, boxes)
    inputs = {"image": image, "size": size, "boxes": boxes}
    return keras.Model(inputs, {"class_logits": logits, "deltas": deltas}, name="box_classifier")


def _maps(model):
    """The maps that the detector's proposals are sampled from."""
    align = model.get_layer("roi_align")
    return keras.tree.flatten(align.input)[: len(align.strides)]


def _heads(model, maps, size, boxes):
    """(class logits, deltas, share of its points on the maps) of boxes on maps, symbolic, by the layers of `model`."""
    align, last = model.get_layer("roi_align"), ("head_classes", "head_boxes")
    pooled, on_map = RoIAlign(align.strides, align.bins, align.multiple, name=align.name)(maps, boxes, size)
    head = keras.Model(align.output[0], [model.get_layer(name).output for name in last])
    made = _continue(head, pooled, share=True)
    return *(made[name] for name in last), on_map


def _grid(model):
    """The four lists that the model's `AnchorGrid` gave."""
    layer = model.get_layer("anchor_grid")
    flat, levels = keras.tree.flatten(layer.output), len(layer.strides)
    return [flat[start : start + levels] for start in range(0, len(flat), levels)]


def _backbone(name, weights, architecture, image, size):
    """(the backbone up to its maps, built on `image`; what is left of it for the head, or None): two `keras.Model`."""
    if architecture == "c4":
        source = backbones.build(name, weights=weights, classifier=_is_vgg(name))
        maps = backbones.endpoints(source)
        chosen = {stride: maps[stride] for stride in (C4_STRIDE,) if stride in maps}
    else:
        source = backbones.build(name, weights=weights)
        maps = source.output
        chosen = {stride: maps[stride] for stride in maps if stride >= FINEST}
    if list(chosen) not in ([4, 8, 16, 32], [C4_STRIDE]):
        listed = ", ".join(map(str, maps))
        raise UsageError(
            f"model.backbone: {name} has maps of stride {listed}; detection.architecture={architecture} needs others"
        )
    body = copy_with_padding_hidden(keras.Model(source.input, chosen, name=source.name), image, size, max(chosen))
    return body, _tail(source, maps) if architecture == "c4" else None


def _tail(source, maps):
    """The part of a backbone behind the map of stride 16, or None where that has no weights."""
    if "fc7_dropout" in {layer.name for layer in source.layers}:
        return keras.Model(source.get_layer("pool5").output, source.get_layer("fc7_dropout").output)
    tail = keras.Model(maps[C4_STRIDE], maps[max(maps)])
    return tail if tail.weights else None


def _is_vgg(name):
    return backbones.find(name).family == "vgg"


def _continue(model, tensor, share=False):
    """Put the layers of a functional model on `tensor`: themselves (share), or copies of them.

    The graph stays flat, unlike after a call of the model. Gives a dict from each layer's name to what it made.
    """
    made = {}

    def call(operation, *args, **kwargs):
        made[operation.name] = operation(*args, **kwargs)
        return made[operation.name]

    clone = (lambda layer: layer) if share else None
    copy = keras.models.clone_model(model, input_tensors=tensor, clone_function=clone, call_function=call)
    if not share:
        copy.set_weights(model.get_weights())
    return made


def _cells(settings, strides):
    """The anchors of one place, an array a level."""
    if settings.architecture == "c4":
        return [cell_anchors(settings.anchor_sizes, settings.anchor_ratios)]
    if len(settings.anchor_sizes) != len(strides):
        raise UsageError(
            f"detection.anchor_sizes: {len(settings.anchor_sizes)} sizes, but this pyramid has {len(strides)} levels "
            f"(strides {', '.join(map(str, strides))}); give one a level"
        )
    return [cell_anchors([size], settings.anchor_ratios) for size in settings.anchor_sizes]
