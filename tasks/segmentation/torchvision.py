"""Weights of torchvision's fcn_resnet50/101 and deeplabv3_resnet50/101 checkpoints (.pth), read without torch.

The nets are ours with `segmentation.head` "fcn" or "deeplabv3" on resnet50 or resnet101 at output stride 8. What the
file
wants done to pictures the model does already: RGB, the ImageNet mean and deviation; torchvision scored at a shorter
side of 520 pixels. The auxiliary classifier, used in training only, is left out.
"""

from pathlib import Path

from retinue.backbones import resnet, torch_checkpoint
from retinue.backbones.weights import TORCH_VARIABLES, WeightsReport
from retinue.configs.errors import RetinueError

HEADS = {
    "fcn": {"score_conv": "0", "score_bn": "1", "scores": "4"},
    "deeplabv3": {
        **{f"aspp_{i}_conv": f"0.convs.{i}.{1 if i == 4 else 0}" for i in range(5)},
        **{f"aspp_{i}_bn": f"0.convs.{i}.{2 if i == 4 else 1}" for i in range(5)},
        "aspp_project_conv": "0.project.0",
        "aspp_project_bn": "0.project.1",
        "score_conv": "1",
        "score_bn": "2",
        "scores": "4",
    },
}
OF_CLASSES = "scores"  # left out where the file has other classes

VOC_NAMES = (
    "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, "
    "motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"
).split(", ")


def is_segmenter(path):
    """Whether a file is a .pth checkpoint of one of torchvision's segmentation nets."""
    path = Path(path).expanduser()
    if path.suffix not in (".pth", ".pt") or not path.is_file():
        return False
    return any(name.startswith("classifier.4.") for name in torch_checkpoint.read(path)) and any(
        name.startswith("backbone.layer4.") for name in torch_checkpoint.read(path)
    )


def load_weights(model, path, head):
    """Load a checkpoint into a net of head "fcn" or "deeplabv3" on a resnet, and give a `WeightsReport`.

    Class scores for another number of classes are left out, which the report says.
    Raises RetinueError when the file is missing, broken, or of another architecture; the model is then as it was.
    """
    path = Path(path).expanduser()
    found, misfits, unexpected, note = match(model, torch_checkpoint.read(path), head)
    if misfits:
        raise RetinueError(f"{path}: does not fit this net: {'; '.join(misfits[:3])}")
    variables = _variables(model)
    for key, array in found.items():
        variables[key][1].assign(array)
    missing = tuple(key for key in variables if key not in found)
    return WeightsReport(str(path), tuple(found), missing, unexpected, note)


def match(model, tensors, head):
    """Find the tensor of a state dict (name -> array) for each of the model's variables.

    Returns a dict from "layer/variable" to an array in Keras's layout, a list of what does not fit, the names that are
    left over, and a note where class scores were left out.
    """
    found, misfits, used, note = {}, [], set(), ""
    for key, (layer, variable) in _variables(model).items():
        name = f"{torch_name(layer.name, head)}.{TORCH_VARIABLES[key.rsplit('/', 1)[-1]]}"
        if name not in tensors:
            misfits.append(f"{key} is missing ({name})")
            continue
        used.add(name)
        array = tensors[name]
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        if array.shape == tuple(variable.shape):
            found[key] = array
        elif layer.name == OF_CLASSES:
            note = f"its scores are for {array.shape[-1]} classes; left out"
        else:
            misfits.append(f"{key} is {array.shape} in the file and {tuple(variable.shape)} in the model")
    ignored = ("num_batches_tracked",)
    unexpected = tuple(name for name in tensors if name not in used and not name.endswith(ignored))
    return found, misfits, unexpected, note


def torch_name(layer, head):
    """torchvision's name of one of our layers. head: "fcn" or "deeplabv3"."""
    if layer in HEADS[head]:
        return f"classifier.{HEADS[head][layer]}"
    return f"backbone.{resnet.torch_name(layer)}"


def _variables(model):
    return {
        f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}": (layer, variable)
        for layer in model.layers
        for variable in layer.weights
    }
