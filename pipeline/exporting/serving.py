"""A folder to serve: numbered versions as TensorFlow Serving wants them, with a request and the answer to it.

OUT/1/, OUT/2/, ...   an export each; a server that runs takes up the highest as soon as it is there
OUT/1/request.json    what to post to TensorFlow Serving's REST API, /v1/models/NAME:predict
OUT/1/response.json   its answer, as the exported signature gave it
"""

import base64
import json

from retinue.configs.errors import UsageError
from retinue.data.decoding.decode import read_encoded_bytes
from retinue.data.storage.atomic_files import atomic_write


def next_version(folder):
    """The path of the version after those that `folder` holds; it need not exist.

    Raises UsageError where it is a file, or holds something, but no version.
    """
    # A hidden folder is what a killed export left.
    held = [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
    versions = [int(path.name) for path in held if path.is_dir() and path.name.isdecimal()]
    if (folder.exists() and not folder.is_dir()) or (held and not versions):
        raise UsageError(f"{folder}: is no folder of numbered versions; give another --out")
    return folder / str(max(versions, default=0) + 1)


def write_example(folder, files):
    """Write request.json and response.json into the SavedModel's `folder`. files: photos, of which the smallest is
    asked about, so that both can be read by eye."""
    import tensorflow as tf

    encoded = min((read_encoded_bytes(str(file)) for file in files), key=len)
    asked = json.dumps(request([encoded]), indent=1)
    atomic_write(folder / "request.json", asked)
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    atomic_write(folder / "response.json", json.dumps(answer(serve, json.loads(asked)), ensure_ascii=False))


def request(photos):
    """Encoded photos, bytes each, -> a request in the API's row format, where bytes are base64."""
    rows = [{"bytes": {"b64": base64.b64encode(photo).decode("ascii")}} for photo in photos]
    return {"signature_name": "serving_default", "instances": rows}


def answer(serve, asked):
    """What TensorFlow Serving answers to a request: a row for each photo, strings as UTF-8.

    serve: the signature, called with string `[n]`; asked: what `request` gives.
    """
    import tensorflow as tf

    photos = [base64.b64decode(row["bytes"]["b64"]) for row in asked["instances"]]
    columns = {name: _plain(value.numpy().tolist()) for name, value in serve(bytes=tf.constant(photos)).items()}
    return {"predictions": [{name: rows[place] for name, rows in columns.items()} for place in range(len(photos))]}


def _plain(value):
    """Nested lists of what JSON can say."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value
