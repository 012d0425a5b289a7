"""The backbone as a segmentation net needs it: pictures of any size, linear layers as convolutions, maps by stride."""

import keras

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.tasks.segmentation.upsampling import PadToMultiple

LAST_OF_STRIDE = {8: "pool3", 16: "pool4"}  # VGG's skips leave from its pools, not from the convolutions behind them


class Trunk:
    """A backbone, copied onto a new input.

    image: `keras.Input` float32 `[n, h, w, 3]`, RGB, 0..255. maps: {stride: map}. names: of its layers.
    aligned: whether a map's sides are those of the padded picture divided by its stride.
    """

    def __init__(self, image, maps, names, aligned):
        self.image, self.maps, self.names, self.aligned = image, maps, names, aligned


def strided_trunk(name, weights, with_linear):
    """The backbone with its strides up to 32, for FCN. The picture is padded with the mean colour to multiples of 32.

    with_linear: where the backbone has fc6 and fc7, they come along as convolutions (7x7 and 1x1, "same" padding), each
    with its dropout, and the map of stride 32 is theirs.
    Raises UsageError for a backbone that has not the strides 8, 16 and 32, or is of one size only.
    """
    source = _source(name, weights, 32, with_linear)
    maps = dict(backbones.endpoints(source))
    if {8, 16, 32} - set(maps):
        raise UsageError(
            f"model.backbone: {name} has maps of stride {', '.join(map(str, maps))}; FCN needs 8, 16 and 32"
        )
    have = {layer.name for layer in source.layers}
    maps = {stride: maps[stride] for stride in (8, 16, 32)}
    maps |= {stride: source.get_layer(layer).output for stride, layer in LAST_OF_STRIDE.items() if layer in have}
    if "fc7_dropout" in have:
        maps[32] = source.get_layer("fc7_dropout").output
    return _on_new_input(keras.Model(source.input, maps), name, 32, {"fc6": {"padding": "same"}})


def dilated_trunk(name, weights, output_stride=8):
    """The backbone with dilation in place of its strides beyond `output_stride`; no padding: any picture will do."""
    row = backbones.find(name)
    if output_stride not in row.output_strides:
        raise UsageError(
            f"model.backbone: {name} can't be built with dilation; take a resnet, vgg, densenet or efficientnet_lite, "
            "or segmentation.head=fcn8s"
        )
    source = _source(name, weights, output_stride, False)
    last = max(source.output)
    return _on_new_input(keras.Model(source.input, {last: source.output[last]}), name, 1, {})


def front_end_trunk(name, weights, with_linear):
    """VGG without its fourth and fifth pool, the convolutions behind them dilated (Yu and Koltun 2015, section 4).

    conv5_* have dilation 2; fc6, where it comes along (with_linear), dilation 4. The pools are gone, not made dense.
    Unlike there, maps are padded with zeros, so that a picture of any size keeps its size; its sides are padded to
    multiples of 8 with the mean colour. Raises UsageError for a backbone that is no VGG.
    """
    if backbones.find(name).family != "vgg":
        raise UsageError(
            f"model.backbone: the front end is a VGG without two pools, which {name} is not; take vgg16, or "
            "segmentation.head=fcn, which dilates any backbone"
        )
    source = _source(name, weights, 32, with_linear)
    last = (
        "fc7_dropout" if with_linear else [layer.name for layer in source.layers if layer.name.startswith("conv5")][-1]
    )
    changes = {
        layer.name: {"dilation_rate": (2, 2)}
        for layer in source.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.name.startswith("conv5")
    }
    changes["fc6"] = {"dilation_rate": (4, 4), "padding": "same"}
    model = keras.Model(source.input, {8: source.get_layer(last).output})
    return _on_new_input(model, name, 8, changes, left_out=("pool4", "pool5"))


def has_linear(name):
    """Whether a backbone has linear layers that can be convolutions: fc6 and fc7."""
    return backbones.find(name).family in ("vgg", "alexnet")


def _source(name, weights, output_stride, with_linear):
    if not backbones.find(name).any_size:
        raise UsageError(f"model.backbone: {name} takes pictures of one size only; take another for segmentation")
    return backbones.build(name, weights=weights, output_stride=output_stride, classifier=with_linear)


def _on_new_input(model, name, multiple, changes, left_out=()):
    """Copy a functional model, weights and names included, onto a padded picture.

    changes: {layer's name: what is other in its configuration}; left_out: layers that hand on what they are given.
    """
    image = keras.Input((None, None, 3), name="image")
    padded = image
    if multiple > 1:
        padded = PadToMultiple(multiple, backbones.preprocessing(name).mean, name="pad")(image)

    made = {}  # the copy itself starts at an input of its own; these are the tensors that start at ours

    def copied(layer):
        return type(layer).from_config(layer.get_config() | changes.get(layer.name, {}))

    def call(operation, *args, **kwargs):
        made[operation.name] = args[0] if operation.name in left_out else operation(*args, **kwargs)
        return made[operation.name]

    copy = keras.models.clone_model(model, input_tensors=padded, clone_function=copied, call_function=call)
    copy.set_weights(model.get_weights())
    maker = {id(operation.output): operation.name for operation in model.operations}
    maps = {stride: made[maker[id(tensor)]] for stride, tensor in model.output.items()}
    side = 8 * max(maps)
    shapes = copy.compute_output_shape((1, side, side, 3))
    aligned = all(shape[1] * stride == side for stride, shape in shapes.items())
    return Trunk(image, maps, {"image", "pad", *made}, aligned)
