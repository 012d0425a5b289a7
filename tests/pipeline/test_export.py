import json
import os
import subprocess
import sys

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.export import export

# What someone who serves the export runs: TensorFlow and nothing of ours.
ELSEWHERE = """
import json, os, sys
import tensorflow as tf
folder, files = sys.argv[1], sys.argv[2:]
model = tf.saved_model.load(folder)
serve = model.signatures["serving_default"]
contents = [open(file, "rb").read() for file in files]
answers = {}
for batch in (1, 3, 8):
    rows = [serve(bytes=tf.constant(contents[start : start + batch])) for start in range(0, len(contents), batch)]
    answers[batch] = {key: tf.concat([row[key] for row in rows], 0).numpy().tolist() for key in rows[0]}
    for key in ("classes", "label"):
        answers[batch][key] = [str(value) for value in answers[batch][key]]
images = tf.stack([tf.io.decode_image(contents[-1], channels=3)] * 2)
by_image = model.signatures["image"](image=images)
assert not any(name.startswith("retinue") for name in sys.modules)
assets = os.path.join(folder, "assets", "classes.txt")
print(json.dumps({"answers": answers, "image": by_image["scores"].numpy().tolist(), "names": open(assets).read()}))
"""


def rename_png_last(files):
    return sorted(files, key=lambda file: file.endswith("2.png"))


def test_the_saved_model_serves_without_retinue(tiny_model, exported, photos):
    import tensorflow as tf

    from retinue.data.decode import encoded_bytes

    files = rename_png_last(str(photos / name) for name in sorted(os.listdir(photos)) if not name.endswith(".tif"))
    files = files[:1] + files  # eight
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, exported, *files], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    inference = tiny_model.task.inference(tiny_model.build())
    rows = [tiny_model.task.read(tf.constant(encoded_bytes(file)))["image"] for file in files]
    truth = inference({"image": tf.stack(rows)}, training=False)["scores"].numpy()
    assert len({row.tobytes() for row in truth.round(3)}) >= 6  # the pictures differ, so a mix-up would show
    for batch in ("1", "3", "8"):
        answer = told["answers"][batch]
        np.testing.assert_allclose(answer["scores"], truth, atol=1e-5)
        np.testing.assert_allclose(answer["score"], truth.max(1), atol=1e-5)
        assert answer["label"] == [str(tiny_model.classes[best].encode()) for best in truth.argmax(1)]
        assert answer["classes"] == [str([name.encode() for name in tiny_model.classes])] * len(files)
    np.testing.assert_allclose(told["image"], truth[[-1, -1]], atol=1e-5)
    assert told["names"] == "apple\nbean\ncherry\n"


def test_the_folder_says_where_it_came_from_and_how_equal_it_is(tiny_model, exported):
    described = json.loads((exported / "export.json").read_text())
    proof = described["formats"]["savedmodel"]
    assert proof["largest_difference"] <= 1e-4 and proof["same_label"] == len(described["photos"]) == 8
    assert described["run"] == str(tiny_model.folder) and "tensorflow" in described["versions"]
    assert (exported / "config.yaml").read_bytes() == (tiny_model.folder / "config.yaml").read_bytes()
    assert (exported / "classes.json").is_file()


def test_the_proof_is_printed_and_takes_photos_of_the_validation_split(tiny_model, photos, tmp_path):
    names = sorted(os.listdir(photos))[:3]
    rows = [f"{photos / names[0]},train", f"{photos / names[1]},val", f"{photos / names[2]},val"]
    listed = tiny_model.folder / "split.csv"
    listed.write_text("\n".join(["file,split", *rows]), encoding="utf-8")
    said = []
    try:
        described = export(tiny_model, tmp_path / "out", to=("openvino",), say=said.append)
    finally:
        listed.unlink()
    assert described["photos"] == [str(photos / name) for name in names[1:3]]
    assert said[0].startswith("openvino: 2 photos, largest difference ") and said[0].endswith("same label 2 of 2")
    assert {"model.xml", "model.bin", "config.yaml"} <= set(os.listdir(tmp_path / "out"))
    assert "saved_model.pb" not in os.listdir(tmp_path / "out")


def test_an_export_that_differs_leaves_nothing(tiny_model, photos, tmp_path, monkeypatch):
    from retinue.pipeline import export as stage

    monkeypatch.setattr(stage, "TOLERANCE", -1.0)
    with pytest.raises(RetinueError, match="differs from the Keras model by .* nothing was exported"):
        export(tiny_model, tmp_path / "out", images=[photos / "2.png"], say=print)
    assert list(tmp_path.iterdir()) == []


def test_not_a_number_is_no_proof(tiny_model, photos, tmp_path, monkeypatch):
    class Broken(type(tiny_model)):
        def build(self):
            model = super().build()
            model.get_layer("head_logits").bias.assign([np.nan] * 3)
            return model

    with pytest.raises(RetinueError, match="nothing was exported"):
        export(Broken(tiny_model.folder), tmp_path / "out", images=[photos / "2.png"], say=print)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, words",
    [
        ({"to": ("onnx",)}, "--to onnx: is not available yet; use savedmodel or openvino"),
        ({"to": ("litert",)}, "not available yet"),
        ({"to": ("pt",)}, "unknown"),
        ({"to": ()}, "at least one"),
        ({"precision": "int8"}, "f32 for now"),
        ({}, "no photos to prove the export with"),
    ],
)
def test_what_can_not_be_done_is_refused(tiny_model, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        export(tiny_model, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(tiny_model, exported, photos, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists already"):
        export(tiny_model, tmp_path, images=[photos / "2.png"])
    assert os.listdir(tmp_path) == ["mine.txt"]
    with pytest.raises(UsageError, match="is an export already"):
        export(exported, tmp_path / "out", images=[photos / "2.png"])
