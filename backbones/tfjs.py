"""Read the weights of Keras models that an npm package carries as TensorFlow.js files inside scripts (nsfwjs).

The numbers are 8 bits each, `number * scale + min`. The scripts are read as text, never run.
"""

import base64
import json
import re
import tarfile

import numpy as np

from retinue.configs.errors import RetinueError

FOLDERS = {"InceptionV3": "inception_v3", "MobileNetV2": "mobilenet_v2"}


def read(path, application):
    """Give `{layer/variable: float32 array}`, under the layer names of the original, of a model in an nsfwjs-*.tgz.

    Raises RetinueError when the file is broken or has no such model.
    """
    if application not in FOLDERS:
        raise RetinueError(f"{path}: has weights of {' and '.join(FOLDERS)} only, not of {application}")
    folder = f"package/dist/models/{FOLDERS[application]}"
    try:
        with tarfile.open(path) as archive:
            model = archive.extractfile(f"{folder}/model.min.js").read().decode()
            manifest = _as_json(model[model.index("weightsManifest:[") + len("weightsManifest:") :])[0]
            shards = (archive.extractfile(f"{folder}/{shard}.min.js").read().decode() for shard in manifest["paths"])
            numbers = b"".join(
                base64.b64decode(max(re.findall(r'"([A-Za-z0-9+/=]+)"', shard), key=len)) for shard in shards
            )
            return _arrays(manifest["weights"], numbers)
    except (OSError, EOFError, tarfile.TarError, ValueError, KeyError, AttributeError) as error:
        raise RetinueError(f"{path}: not a whole nsfwjs package ({error}); `npm pack nsfwjs@4.3.0` gets it") from None


def _as_json(text):
    """The first value in a script's text: keys get quotes and numbers like `.5` their zero."""
    quoted = re.sub(r"([{,])([a-z]+):", r'\1"\2":', text)
    return json.JSONDecoder().raw_decode(re.sub(r"([:,\[-])\.(\d)", r"\g<1>0.\2", quoted))[0]


def _arrays(weights, numbers):
    arrays, start = {}, 0
    for weight in weights:
        coded = weight.get("quantization")
        count = int(np.prod(weight["shape"]))
        dtype = np.dtype(coded["dtype"] if coded else weight["dtype"])
        values = np.frombuffer(numbers, dtype, count, start).astype("float32").reshape(weight["shape"])
        arrays[weight["name"]] = values * coded["scale"] + coded["min"] if coded else values
        start += count * dtype.itemsize
    return arrays
