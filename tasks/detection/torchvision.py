"""Weights of torchvision's fasterrcnn_resnet*_fpn checkpoints (.pth), read without torch.

What the file wants done to pictures is what our model does already: RGB, the ImageNet mean and deviation, the shorter
side 800 and the longer at most 1333 pixels, padding that is zero afterwards. One thing differs: torchvision shrinks
pictures by plain bilinear interpolation, we by averages (data/decoding/resize.py).
"""

from pathlib import Path

import numpy as np

from retinue.backbones import resnet, torch_checkpoint
from retinue.backbones.weights import TORCH_VARIABLES, WeightsReport
from retinue.configs.errors import RetinueError

EPSILON = 1e-5  # of our batch normalisation
PUBLISHED = "fasterrcnn_resnet50_fpn_coco"  # the file that torchvision offers; it was trained with an epsilon of 0
STRIDES = (4, 8, 16, 32)
HEADS = {
    "rpn_conv": ("rpn.head.conv.0.0", "rpn.head.conv"),  # the second is the name before torchvision 0.13
    "rpn_objectness": ("rpn.head.cls_logits",),
    "rpn_deltas": ("rpn.head.bbox_pred",),
    "head_fc6": ("roi_heads.box_head.fc6",),
    "head_fc7": ("roi_heads.box_head.fc7",),
    "head_classes": ("roi_heads.box_predictor.cls_score",),
    "head_boxes": ("roi_heads.box_predictor.bbox_pred",),
}
OF_CLASSES = ("head_classes", "head_boxes")  # left out where the file has other classes


def is_detector(path):
    """Whether a file is a .pth checkpoint of one of torchvision's Faster R-CNNs."""
    path = Path(path).expanduser()
    if path.suffix not in (".pth", ".pt") or not path.is_file():
        return False
    return any(name.startswith("roi_heads.box_predictor") for name in torch_checkpoint.read(path))


def load_weights(model, path):
    """Load a checkpoint into a detector of style "fpn" on a resnet, and give a `WeightsReport`.

    Class and box outputs for another number of classes are left out, which the report says.
    Raises RetinueError when the file is missing, broken, or of another architecture; the model is then as it was.
    """
    path = Path(path).expanduser()
    return assign(model, torch_checkpoint.read(path), str(path))


def assign(model, tensors, source):
    """The same from a state dict, name -> array; source: the file's name, for messages."""
    found, misfits, unexpected, note = match(model, tensors, source)
    if misfits:
        raise RetinueError(f"{source}: does not fit this detector: {'; '.join(misfits[:3])}")
    variables = _variables(model)
    for key, array in found.items():
        variables[key][1].assign(array)
    missing = tuple(key for key in variables if key not in found)
    return WeightsReport(source, tuple(found), missing, unexpected, note)


def match(model, tensors, source=""):
    """Find the tensor of a state dict (name -> array) for each of a detector's variables.

    Returns a dict from "layer/variable" to an array in Keras's layout, a list of what does not fit, the names that are
    left over, and a note where class outputs were left out.
    """
    epsilon = 0.0 if PUBLISHED in Path(source).name else EPSILON
    found, misfits, used, note = {}, [], set(), ""
    for key, (layer, variable) in _variables(model).items():
        kind = key.rsplit("/", 1)[-1]
        names = [f"{name}.{TORCH_VARIABLES[kind]}" for name in _names(layer.name)]
        name = next((name for name in names if name in tensors), None)
        if name is None:
            misfits.append(f"{key} is missing ({names[0] if names else 'no torchvision name'})")
            continue
        used.add(name)
        array = _in_our_layout(tensors[name], layer.name)
        if kind == "moving_variance":
            array = array + np.float32(epsilon - EPSILON)
        if array.shape == tuple(variable.shape):
            found[key] = array
        elif layer.name in OF_CLASSES:
            note = f"its outputs are for {len(tensors[HEADS['head_classes'][0] + '.bias']) - 1} classes; left out"
        else:
            misfits.append(f"{key} is {array.shape} in the file and {tuple(variable.shape)} in the model")
    unexpected = tuple(name for name in tensors if name not in used and not name.endswith("num_batches_tracked"))
    return found, misfits, unexpected, note


def _variables(model):
    return {
        f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}": (layer, variable)
        for layer in model.layers
        for variable in layer.weights
    }


def _names(layer):
    """torchvision's names of one of our layers, the newest first."""
    if layer in HEADS:
        return HEADS[layer]
    if layer.startswith("pyramid_"):
        _, part, stride = layer.split("_")
        number = STRIDES.index(int(stride))
        theirs = f"backbone.fpn.{'inner' if part == 'lateral' else 'layer'}_blocks.{number}"
        return f"{theirs}.0", theirs
    try:
        return (f"backbone.body.{resnet.torch_name(layer)}",)
    except ValueError:  # not a layer of a resnet
        return ()


def _in_our_layout(array, layer):
    """Kernels `[out, in, h, w]` to `[h, w, in, out]`, linear `[out, in]` to `[in, out]`; fc6 sees channels last."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if layer == "head_fc6" and array.ndim == 2:
        side = 7
        array = array.reshape(array.shape[0], -1, side, side).transpose(0, 2, 3, 1).reshape(array.shape[0], -1)
    return array.T if array.ndim == 2 else array
