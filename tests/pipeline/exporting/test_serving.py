import json
import os
import subprocess
import sys

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.exporting import serving
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.prediction.predictor import Predictor

# What a server does that knows nothing of ours.
SERVER = """
import base64, json, sys
import tensorflow as tf
sys.modules["retinue"] = None
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
request = json.load(open(sys.argv[1] + "/request.json"))
images = [base64.b64decode(row["bytes"]["b64"]) for row in request["instances"]]
given = serve(bytes=tf.constant(images))
print(json.dumps({name: value[0].numpy().tolist() for name, value in given.items() if value.dtype != tf.string}))
print(json.dumps([given["label"][0].numpy().decode(), [name.decode() for name in given["classes"][0].numpy()]]))
"""


def test_versions_are_numbered_and_each_has_a_request_with_its_response(tiny_model, image_folder, tmp_path, logged):
    files, out = [image_folder / "1 image.jpg", image_folder / "6.bmp"], tmp_path / "apples"
    for formats in (("onnx",), ("savedmodel", "onnx")):
        logged.clear()
        export(tiny_model, out, ExportOptions(formats=formats, verify_images=files, versioned=True))
    assert sorted(os.listdir(out)) == ["1", "2"] and logged.messages[-1] == f"Exported to {out / '2'}"
    assert {"saved_model.pb", "model.onnx", "export.json"} <= set(os.listdir(out / "2"))
    request = json.loads((out / "2" / "request.json").read_text("utf-8"))
    (row,) = json.loads((out / "2" / "response.json").read_text("utf-8"))["predictions"]
    assert request["signature_name"] == "serving_default" and len(request["instances"]) == 1
    done = subprocess.run([sys.executable, "-c", SERVER, out / "2"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    numbers, (label, classes) = map(json.loads, done.stdout.splitlines())
    assert row["label"] == label and row["classes"] == classes == list(tiny_model.classes)
    assert set(numbers) == {"scores", "score"} and set(row) == {*numbers, "label", "classes"}
    for name, value in numbers.items():
        np.testing.assert_allclose(row[name], value, atol=1e-6)
    (first, *_) = Predictor(out / "2")([image_folder / "6.bmp"])  # the smaller file
    np.testing.assert_allclose(row["scores"], first.prediction["scores"], atol=1e-4)


def test_an_export_without_a_savedmodel_has_no_request(tiny_model, image_folder, tmp_path):
    export(
        tiny_model,
        tmp_path / "out",
        ExportOptions(formats=("onnx",), verify_images=[image_folder / "2.png"], versioned=True),
    )
    assert "request.json" not in os.listdir(tmp_path / "out" / "1")


def test_several_images_are_rows_and_strings_are_text():
    import tensorflow as tf

    def serve(bytes):
        return {"name": tf.strings.join([bytes, "ü"]), "sizes": tf.constant([[1, 2], [3, 4]])}

    request = serving.make_request([b"a", b"b"])
    assert [row["bytes"]["b64"] for row in request["instances"]] == ["YQ==", "Yg=="]
    assert serving.make_response(serve, request) == {
        "predictions": [{"name": "aü", "sizes": [1, 2]}, {"name": "bü", "sizes": [3, 4]}]
    }


def test_the_next_version(tmp_path):
    assert serving.next_version(tmp_path / "new").name == "1"
    for name in ("2", "10", "old", "11.tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.pbtxt").write_text("")
    assert serving.next_version(tmp_path) == tmp_path / "11"


def test_what_a_killed_export_left_is_no_hindrance(tmp_path):
    (tmp_path / ".1.x1y2z3_4" / "1").mkdir(parents=True)
    assert serving.next_version(tmp_path) == tmp_path / "1"


def test_a_folder_without_versions_is_refused(tiny_model, exported, image_folder, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (exported, tmp_path / "file"):
        with pytest.raises(UsageError, match="is no folder of numbered versions; give another --out"):
            export(tiny_model, out, ExportOptions(verify_images=[image_folder / "2.png"], versioned=True))


def test_a_version_that_differs_leaves_nothing_behind(tiny_model, image_folder, tmp_path, monkeypatch):
    from retinue.pipeline.exporting import export as stage

    monkeypatch.setattr(stage, "TOLERANCE", -1.0)
    with pytest.raises(RetinueError, match="nothing was exported"):
        export(tiny_model, tmp_path / "out", ExportOptions(verify_images=[image_folder / "2.png"], versioned=True))
    assert list(tmp_path.iterdir()) == []
