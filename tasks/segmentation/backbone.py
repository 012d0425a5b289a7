"""Backbones for segmentation: they take images of any size and return maps by stride."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.tasks.segmentation.upsampling import PadToMultiple

# The skips of VGG start at its pooling layers, not at the last convolutions of the stride.
SKIP_LAYERS = {8: "pool3", 16: "pool4"}


@dataclasses.dataclass(frozen=True)
class SegmentationBackbone:
    """A backbone, copied onto a new input.

    Attributes:
        image: `keras.Input`, float32 [n, h, w, 3], RGB in 0..255.
        maps: feature maps by stride, KerasTensors [n, h / stride, w / stride, c].
        layer_names: names of its layers.
        aligned: whether the sides of every map are those of the padded image divided by its stride.
    """

    image: keras.KerasTensor
    maps: dict[int, keras.KerasTensor]
    layer_names: set[str]
    aligned: bool


def strided_backbone(name: str, weights: str, convert_fc_layers: bool) -> SegmentationBackbone:
    """Build a backbone with its strides up to 32, for FCN.

    The image is padded with the mean color to multiples of 32.

    Args:
        name: name of the backbone.
        weights: what the backbone loads.
        convert_fc_layers: keep fc6 and fc7 as convolutions (7x7 and 1x1, "same" padding), each with its dropout. The
            map of stride 32 is then the output of fc7.

    Returns:
        The backbone with maps of the strides 8, 16 and 32.

    Raises:
        UsageError: the backbone has no map of stride 8, 16 or 32, or takes one image size only.
    """
    source = _build_source(name, weights, 32, convert_fc_layers)
    maps = dict(backbones.endpoints(source))
    if {8, 16, 32} - set(maps):
        raise UsageError(
            f"model.backbone: {name} has maps of stride {', '.join(map(str, maps))}, but FCN needs 8, 16 and 32; "
            "choose another backbone"
        )
    layer_names = {layer.name for layer in source.layers}
    maps = {stride: maps[stride] for stride in (8, 16, 32)}
    maps |= {stride: source.get_layer(layer).output for stride, layer in SKIP_LAYERS.items() if layer in layer_names}
    if "fc7_dropout" in layer_names:
        maps[32] = source.get_layer("fc7_dropout").output
    return _copy_onto_new_input(keras.Model(source.input, maps), name, 32, {"fc6": {"padding": "same"}})


def dilated_backbone(name: str, weights: str, output_stride: int = 8) -> SegmentationBackbone:
    """Build a backbone with dilation in place of its strides beyond `output_stride`, for FCN and DeepLabV3 heads.

    It needs no padding and takes images of any size.

    Args:
        name: name of the backbone.
        weights: what the backbone loads.
        output_stride: 8 or 16.

    Returns:
        The backbone with one map, of stride `output_stride`.

    Raises:
        UsageError: the backbone can't be built with dilation, or takes one image size only.
    """
    row = backbones.find(name)
    if output_stride not in row.output_strides:
        raise UsageError(
            f"model.backbone: {name} can't be built with dilation; choose a resnet, vgg, densenet or "
            "efficientnet_lite, or segmentation.head=fcn8s"
        )
    source = _build_source(name, weights, output_stride, False)
    last = max(source.output)
    return _copy_onto_new_input(keras.Model(source.input, {last: source.output[last]}), name, 1, {})


def front_end_backbone(name: str, weights: str, convert_fc_layers: bool) -> SegmentationBackbone:
    """Build VGG without its fourth and fifth pooling layer, with dilated convolutions behind them.

    Yu and Koltun 2015, section 4. conv5_* have dilation 2; fc6, if it is converted, has dilation 4. The pooling layers
    are removed, not made dense. Unlike in the paper, maps are padded with zeros, so that an image of any size keeps its
    size; its sides are padded to multiples of 8 with the mean color.

    Args:
        name: name of the backbone.
        weights: what the backbone loads.
        convert_fc_layers: keep fc6 and fc7 as convolutions.

    Returns:
        The backbone with one map, of stride 8.

    Raises:
        UsageError: the backbone is not a VGG.
    """
    if backbones.find(name).family != "vgg":
        raise UsageError(
            f"model.backbone: segmentation.head=front_end is a VGG without two pools, and {name} is not a VGG; choose "
            "vgg16, or segmentation.head=fcn, which dilates any backbone"
        )
    source = _build_source(name, weights, 32, convert_fc_layers)
    last = "fc7_dropout"
    if not convert_fc_layers:
        last = [layer.name for layer in source.layers if layer.name.startswith("conv5")][-1]
    config_changes: dict[str, dict[str, Any]] = {
        layer.name: {"dilation_rate": (2, 2)}
        for layer in source.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.name.startswith("conv5")
    }
    config_changes["fc6"] = {"dilation_rate": (4, 4), "padding": "same"}
    model = keras.Model(source.input, {8: source.get_layer(last).output})
    return _copy_onto_new_input(model, name, 8, config_changes, skipped_layers=("pool4", "pool5"))


def has_fc_layers(name: str) -> bool:
    """Return whether a backbone has fully connected layers fc6 and fc7 that can be converted to convolutions."""
    return backbones.find(name).family in ("vgg", "alexnet")


def _build_source(name: str, weights: str, output_stride: int, with_fc_layers: bool) -> keras.Model:
    if not backbones.find(name).any_size:
        raise UsageError(
            f"model.backbone: {name} takes images of one size only, but segmentation needs any size; choose another "
            "backbone"
        )
    return backbones.build(name, weights=weights, output_stride=output_stride, classifier=with_fc_layers)


def _copy_onto_new_input(
    model: keras.Model,
    name: str,
    multiple: int,
    config_changes: Mapping[str, Mapping[str, Any]],
    skipped_layers: Sequence[str] = (),
) -> SegmentationBackbone:
    """Copy a functional model, including its weights and the names of its layers, onto an image that is padded.

    Args:
        model: the model; its output is a dict of maps by stride.
        name: name of the backbone, whose mean color fills the padding.
        multiple: the padded sides are multiples of this; 1 for no padding.
        config_changes: changes to the configuration of layers, by layer name.
        skipped_layers: layers that are left out: their input becomes their output.
    """
    image = keras.Input((None, None, 3), name="image")
    padded = image
    if multiple > 1:
        padded = PadToMultiple(multiple, backbones.preprocessing(name).mean, name="pad")(image)

    outputs: dict[str, Any] = {}  # `copy` starts at an input of its own; these are the tensors that start at `image`

    def clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(layer.get_config() | dict(config_changes.get(layer.name, {})))

    def call_layer(operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs[operation.name] = args[0] if operation.name in skipped_layers else operation(*args, **kwargs)
        return outputs[operation.name]

    copy = keras.models.clone_model(model, input_tensors=padded, clone_function=clone_layer, call_function=call_layer)
    copy.set_weights(model.get_weights())
    layer_of = {id(operation.output): operation.name for operation in model.operations}
    maps = {stride: outputs[layer_of[id(tensor)]] for stride, tensor in model.output.items()}
    side = 8 * max(maps)
    shapes = copy.compute_output_shape((1, side, side, 3))
    aligned = all(shape[1] * stride == side for stride, shape in shapes.items())
    return SegmentationBackbone(image, maps, {"image", "pad", *outputs}, aligned)
