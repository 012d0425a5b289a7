"""A folder to serve: numbered versions as TensorFlow Serving expects them, with a request and its response.

OUT/1/, OUT/2/, ...   one export each; a running server loads the highest version as soon as it exists
OUT/1/request.json    what to post to TensorFlow Serving's REST API, /v1/models/NAME:predict
OUT/1/response.json   the response, as the exported signature gave it
"""

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retinue.configs.errors import UsageError
from retinue.data.decoding.decode import read_encoded_bytes
from retinue.data.decoding.pixel_range import PixelRange
from retinue.data.storage.atomic_files import atomic_write


def next_version(folder: Path) -> Path:
    """Return the path of the version after those that a folder holds.

    Args:
        folder: the folder of all versions. It need not exist.

    Returns:
        The path, which does not exist.

    Raises:
        UsageError: it is a file, or it holds something, but no version.
    """
    # A killed export leaves a hidden folder.
    paths = [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
    versions = [int(path.name) for path in paths if path.is_dir() and path.name.isdecimal()]
    if (folder.exists() and not folder.is_dir()) or (paths and not versions):
        raise UsageError(f"{folder}: is no folder of numbered versions; give another --out")
    return folder / str(max(versions, default=0) + 1)


def write_example(folder: Path, files: Sequence[str | os.PathLike[str]], pixel_range: PixelRange | None = None) -> None:
    """Write request.json and response.json.

    Args:
        folder: a SavedModel.
        files: paths of images. The smallest file is requested, so that both files are easy to read.
        pixel_range: data.pixel_range of the model.
    """
    import tensorflow as tf

    encoded = min((read_encoded_bytes(str(file), pixel_range) for file in files), key=len)
    text = json.dumps(make_request([encoded]), indent=1)
    atomic_write(folder / "request.json", text)
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    response = make_response(serve, json.loads(text))
    atomic_write(folder / "response.json", json.dumps(response, ensure_ascii=False))


def make_request(images: Sequence[bytes]) -> dict[str, Any]:
    """Make a request in the API's row format, where bytes are base64. images: encoded image files."""
    rows = [{"bytes": {"b64": base64.b64encode(image).decode("ascii")}} for image in images]
    return {"signature_name": "serving_default", "instances": rows}


def make_response(serve: Callable[..., Mapping[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    """Make the response that TensorFlow Serving gives.

    Args:
        serve: the signature, which is called with string `[n]`.
        request: what `make_request` returned.

    Returns:
        A row for each image, with strings as UTF-8.
    """
    import tensorflow as tf

    images = [base64.b64decode(row["bytes"]["b64"]) for row in request["instances"]]
    columns = {name: _to_json(value.numpy().tolist()) for name, value in serve(bytes=tf.constant(images)).items()}
    return {"predictions": [{name: rows[row] for name, rows in columns.items()} for row in range(len(images))]}


def _to_json(value: Any) -> Any:
    """Replace bytes in nested lists by text."""
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value
