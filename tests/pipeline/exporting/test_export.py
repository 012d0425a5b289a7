import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.exporting.verification_files import verification_records
from retinue.tasks.classification.task import Classification

# What someone who serves the export runs: TensorFlow and nothing of ours.
ELSEWHERE = """
import json, os, sys
import tensorflow as tf
folder, files = sys.argv[1], sys.argv[2:]
model = tf.saved_model.load(folder)
serve = model.signatures["serving_default"]
contents = [open(file, "rb").read() for file in files]
outputs = {}
for batch in (1, 3, 8):
    rows = [serve(bytes=tf.constant(contents[start : start + batch])) for start in range(0, len(contents), batch)]
    outputs[batch] = {key: tf.concat([row[key] for row in rows], 0).numpy().tolist() for key in rows[0]}
    for key in ("classes", "label"):
        outputs[batch][key] = [str(value) for value in outputs[batch][key]]
images = tf.stack([tf.io.decode_image(contents[-1], channels=3)] * 2)
by_image = model.signatures["image"](image=images)
assert not any(name.startswith("retinue") for name in sys.modules)
assets = os.path.join(folder, "assets", "classes.txt")
print(json.dumps({"outputs": outputs, "image": by_image["scores"].numpy().tolist(), "names": open(assets).read()}))
"""


def rename_png_last(files):
    return sorted(files, key=lambda file: file.endswith("2.png"))


def test_the_saved_model_serves_without_retinue(tiny_model, exported, image_folder):
    import tensorflow as tf

    from retinue.data.decoding.decode import read_encoded_bytes

    files = rename_png_last(
        str(image_folder / name) for name in sorted(os.listdir(image_folder)) if not name.endswith(".tif")
    )
    files = files[:1] + files  # eight
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, exported, *files], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    inference = tiny_model.task.inference(tiny_model.build())
    rows = [tiny_model.task.read(tf.constant(read_encoded_bytes(file)))["image"] for file in files]
    truth = inference({"image": tf.stack(rows)}, training=False)["scores"].numpy()
    assert len({row.tobytes() for row in truth.round(3)}) >= 6  # the images differ, so a confusion would be noticed
    for batch in ("1", "3", "8"):
        output = reported["outputs"][batch]
        np.testing.assert_allclose(output["scores"], truth, atol=1e-5)
        np.testing.assert_allclose(output["score"], truth.max(1), atol=1e-5)
        assert output["label"] == [str(tiny_model.classes[best].encode()) for best in truth.argmax(1)]
        assert output["classes"] == [str([name.encode() for name in tiny_model.classes])] * len(files)
    np.testing.assert_allclose(reported["image"], truth[[-1, -1]], atol=1e-5)
    assert reported["names"] == "apple\nbean\ncherry\n"


def test_export_json_holds_the_origin_and_the_verification(tiny_model, exported):
    described = json.loads((exported / "export.json").read_text())
    proof = described["formats"]["savedmodel"]
    assert proof["largest_difference"] <= 1e-4 and proof["same"] == len(described["verified_on"]) == 8
    assert described["run"] == str(tiny_model.folder) and "tensorflow" in described["versions"]
    assert (exported / "config.yaml").read_bytes() == (tiny_model.folder / "config.yaml").read_bytes()
    assert (exported / "classes.json").is_file()


def test_the_verification_is_logged_and_uses_files_of_the_run(tiny_model, image_folder, tmp_path, logged):
    """As after training with a test set and without a validation set."""
    files = [str(image_folder / name) for name in sorted(os.listdir(image_folder))]
    rows = [f"{files[0]},train", f"{image_folder}/gone.jpg,test", f"{files[1]},test", f"{files[2]},test"]
    write_split(tiny_model, rows)
    logged.clear()
    try:
        described = export(tiny_model, tmp_path / "out", ExportOptions(formats=("openvino",)))
    finally:
        (tiny_model.folder / "split.csv").unlink()
    assert described["verified_on"] == [files[1], files[2], files[0]]
    assert logged.messages[0].startswith("openvino: 3 images, largest difference ") and logged.messages[0].endswith(
        "same prediction 3 of 3"
    )
    assert {"model.xml", "model.bin", "config.yaml"} <= set(os.listdir(tmp_path / "out"))
    assert (tmp_path / "out" / "split.csv").read_text() == "content_id,split\n000,train\n001,test\n002,test\n003,test\n"
    assert "saved_model.pb" not in os.listdir(tmp_path / "out")


def write_split(model, rows):
    """rows: texts of file and split, with a comma."""
    lines = ["file,split,content_id", *(f"{row},{number:03d}" for number, row in enumerate(rows))]
    (model.folder / "split.csv").write_text("\n".join(lines), encoding="utf-8")


def test_which_files_verify_an_export(tiny_model, image_folder, tmp_path):
    files = [str(image_folder / name) for name in sorted(os.listdir(image_folder))] * 2  # 16 rows
    (tmp_path / "broken.jpg").write_text("words")
    splits = {
        "val first, filled up": (["val"] * 3 + ["train"] * 10 + ["test"] * 3, [*files[:3], *files[13:], *files[3:5]]),
        "enough in val": (["train"] * 6 + ["val"] * 10, files[6:14]),
        "val_fraction=0": (["train"] * 16, files[:8]),
    }
    try:
        for name, (split, expected) in splits.items():
            rows = [f"{file},{part}" for file, part in zip(files, split, strict=True)]
            write_split(tiny_model, [f"{tmp_path}/broken.jpg,val", *rows])
            assert [record["file"] for record in verification_records(tiny_model, None)] == expected, name
        write_split(tiny_model, [f"{tmp_path}/gone.jpg,val", f"{tmp_path}/broken.jpg,train"])
        with pytest.raises(
            UsageError, match="split.csv: none of its images exists any more .* give some with --verify-images"
        ):
            verification_records(tiny_model, None)
        (record,) = verification_records(tiny_model, [image_folder / "2.png"])
        assert record["file"] == str(image_folder / "2.png")
        with pytest.raises(
            UsageError, match="--verify-images .*gone.jpg: can.t be used to verify the export: no such file"
        ):
            verification_records(tiny_model, [image_folder / "2.png", tmp_path / "gone.jpg"])
    finally:
        (tiny_model.folder / "split.csv").unlink()


def test_a_near_tie_counts_as_agreement():
    truth = np.array([[0.50004, 0.49996], [0.6, 0.4], [0.5001, 0.4999]])
    given = np.array([[0.49999, 0.50001], [0.6, 0.4], [0.49999, 0.50001]])

    def compare(given, truth, multi_label=False):
        task = Classification(load_config(), ("a", "b"), multi_label)
        return task.compare_outputs({"scores": given}, {"scores": truth}, 1e-4)

    proof = compare(given, truth)
    assert proof["largest_difference"] == pytest.approx(1.1e-4)
    assert (proof["same"], proof["near_ties"]) == (1, 1)  # the best two of the last row are 2e-4 apart
    assert compare(np.ones((2, 1)), np.ones((2, 1)))["same"] == 2
    several = compare(np.array([[0.49999, 0.9], [0.2, 0.7]]), np.array([[0.50001, 0.9], [0.2, 0.7]]), multi_label=True)
    assert (several["same"], several["near_ties"]) == (1, 1)


def test_an_export_with_several_labels_per_file_has_a_threshold_and_no_best_label(tiny_model, image_folder, tmp_path):
    import tensorflow as tf

    from retinue.data.decoding.decode import read_encoded_bytes

    shutil.copytree(tiny_model.folder, tmp_path / "run")
    described = {"classes": list(tiny_model.classes), "multi_label": True}
    (tmp_path / "run" / "classes.json").write_text(json.dumps(described), encoding="utf-8")
    model = type(tiny_model)(tmp_path / "run")
    files = [str(image_folder / name) for name in ("1 image.jpg", "2.png", "6.bmp")]
    export(model, tmp_path / "out", ExportOptions(verify_images=files))
    served = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    output = served(bytes=tf.constant([read_encoded_bytes(file) for file in files]))
    assert set(output) == {"scores", "classes", "threshold"}
    assert output["threshold"].numpy().tolist() == [0.5] * 3 and output["threshold"].dtype == tf.float32
    images = tf.stack([model.task.read(tf.constant(read_encoded_bytes(file)))["image"] for file in files])
    logits = model.build()(tf.cast(images, tf.float32), training=False)
    np.testing.assert_allclose(output["scores"], tf.sigmoid(logits), atol=1e-5)


def test_an_export_that_differs_leaves_nothing_behind(tiny_model, image_folder, tmp_path, monkeypatch):
    from retinue.pipeline.exporting import export as stage

    monkeypatch.setattr(stage, "TOLERANCE", -1.0)
    with pytest.raises(RetinueError, match="differ from the Keras model.s by .* nothing was exported"):
        export(tiny_model, tmp_path / "out", ExportOptions(verify_images=[image_folder / "2.png"]))
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_not_numbers_are_refused(tiny_model, image_folder, tmp_path, monkeypatch):
    class Broken(type(tiny_model)):
        def build(self):
            model = super().build()
            model.get_layer("head_logits").bias.assign([np.nan] * 3)
            return model

    with pytest.raises(RetinueError, match="nothing was exported"):
        export(Broken(tiny_model.folder), tmp_path / "out", ExportOptions(verify_images=[image_folder / "2.png"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"formats": ("pt",)},
            "--to pt: there is no such format; use one or more of savedmodel, openvino, onnx, litert",
        ),
        ({"formats": ()}, "at least one"),
        ({"precision": "int8"}, "int8: is for OpenVINO alone"),
        ({}, "there is no image to verify the export with"),
    ],
)
def test_impossible_options_are_refused(tiny_model, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        export(tiny_model, tmp_path / "out", ExportOptions(**options))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_refused(tiny_model, exported, image_folder, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists already"):
        export(tiny_model, tmp_path, ExportOptions(verify_images=[image_folder / "2.png"]))
    assert os.listdir(tmp_path) == ["mine.txt"]
    with pytest.raises(UsageError, match="is an export already"):
        export(exported, tmp_path / "out", ExportOptions(verify_images=[image_folder / "2.png"]))
