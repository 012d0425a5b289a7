"""Tests of `predict` with a tiny model: results, failures, overlays, resuming, and equal predictions everywhere."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config, to_yaml
from retinue.data.decoding.decode import read_encoded_bytes
from retinue.data.decoding.image_file import image_size
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.prediction.predictor import Predictor
from retinue.pipeline.prediction.results import read_lines


def lines(folder, name="predictions.jsonl"):
    return list(read_lines(folder / name))


def copy_with_settings(model, folder, *settings):
    """Return a copy of a tiny model with other settings."""
    shutil.copytree(model.folder, folder)
    config = load_config(str(folder / "config.yaml"), settings=list(settings))
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    return type(model)(folder)


@pytest.fixture(scope="module")
def exports(tiny_model, image_folder, tmp_path_factory):
    """Exports by runtime. Each holds only the format of that runtime."""
    folder = tmp_path_factory.mktemp("exports")
    files = sorted(str(image_folder / name) for name in os.listdir(image_folder))
    formats = {"openvino": "openvino", "onnxruntime": "onnx", "litert": "litert"}
    for runtime, form in formats.items():
        export(tiny_model, folder / runtime, ExportOptions(formats=(form,), verify_images=files))
    return {runtime: folder / runtime for runtime in formats}


def test_all_runtimes_and_exports_predict_the_same(tiny_model, exported, exports, image_folder):
    """`predict` with each runtime, `evaluate`, and all exports have the same labels and scores."""
    import tensorflow as tf

    from retinue.pipeline.evaluation import evaluate

    files = sorted(str(image_folder / name) for name in os.listdir(image_folder))
    found = {}
    for runtime in ("tensorflow", "openvino", "onnxruntime"):
        found[f"run, {runtime}"] = list(Predictor(tiny_model, runtime)(files))
        found[f"export, {runtime}"] = list(Predictor(exported, runtime)(files))
    for runtime, folder in exports.items():
        predictor = Predictor(folder)
        assert predictor.runtime.name == runtime
        found[f"{runtime} export"] = list(predictor(files))
    found["memory"] = list(Predictor.from_keras(tiny_model.task, tiny_model.build())(files))
    scores = {name: np.stack([result.prediction["scores"] for result in results]) for name, results in found.items()}
    labels = {name: [r.prediction["labels"][0]["label"] for r in results] for name, results in found.items()}
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    served = serve(bytes=tf.constant([read_encoded_bytes(file) for file in files]))
    scores["served bytes"] = served["scores"].numpy()
    labels["served bytes"] = [label.decode() for label in served["label"].numpy()]
    scored = evaluate.predict_batches(
        tiny_model.task,
        evaluate.Evaluation(tiny_model.task, tiny_model.build(), None).run,
        {"file": np.array(files, dtype=object)},
    )
    scores["evaluate"] = np.stack([prediction["scores"] for batch in scored for prediction in batch])
    assert len(set(labels["memory"])) > 1
    for name in scores:
        np.testing.assert_allclose(scores[name], scores["memory"], atol=1e-4, err_msg=name)
    assert all(labels[name] == labels["memory"] for name in labels)


def test_lines_sizes_and_summary(tiny_model, image_folder, tmp_path, logged):
    out = tmp_path / "out"
    summary = predict(tiny_model, [image_folder], out, formats=("jsonl", "csv"), runtime="tensorflow")
    assert (summary.images, summary.failures, summary.exit_code) == (8, 0, 0)
    found = lines(out)
    assert [os.path.basename(line["file"]) for line in found] == [
        "1 image.jpg",
        "2.png",
        "3 gray.jpg",
        "4 alpha.png",
        "5 turned.jpg",
        "6.bmp",
        "7.webp",
        "10.tif",
    ]
    sizes = [(line["width"], line["height"]) for line in found]
    assert sizes == [(40, 30), (30, 40), (20, 20), (17, 33), (24, 48), (16, 16), (80, 100), (11, 9)]  # 5 is turned
    for line in found:
        assert set(line) == {"file", "width", "height", "labels"}
        values = [label["score"] for label in line["labels"]]
        assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1, abs=1e-5) and len(values) == 3
    with open(out / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [line["labels"][0]["label"] for line in found]
    assert logged.messages[0].startswith("Runtime: tensorflow f32") and logged.messages[-1] == str(summary)
    assert logged.messages[-1].startswith("8 images, 0 failures, ") and "writing" in logged.messages[-1]
    assert not (out / "failures.jsonl").exists()


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    file = tmp_path_factory.mktemp("huge") / "huge.png"
    Image.new("1", (20_000, 20_000)).save(file)
    return file


@pytest.fixture
def bad(tmp_path, image_folder, huge):
    """Return a folder of bad files between good ones, and the start of the reason of each."""
    folder = tmp_path / "bad"
    folder.mkdir()
    jpeg = (image_folder / "1 image.jpg").read_bytes()
    (folder / "00 good.jpg").write_bytes(jpeg)
    (folder / "01 empty.jpg").write_bytes(b"")
    (folder / "02 text.jpg").write_text("these are words")
    (folder / "03 half.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "04 half.png").write_bytes((image_folder / "2.png").read_bytes()[:700])
    (folder / "05 nowhere.jpg").symlink_to(folder / "gone.jpg")
    (folder / "06 good.jpg").write_bytes(jpeg)
    (folder / "07 huge.png").symlink_to(huge)
    (folder / "08 loop.jpg").symlink_to(folder / "08 loop.jpg")
    (folder / "09 image.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    Image.new("RGB", (1, 1)).save(folder / "10 one pixel.png")
    return folder, {
        "01 empty.jpg": "empty: 0 bytes",
        "02 text.jpg": "not an image: text instead of an image",
        "03 half.jpg": "truncated: the file ends before the image does",
        "04 half.png": "truncated: the file ends before the image does",
        "05 nowhere.jpg": "missing: the target of the link does not exist",
        "07 huge.png": "too large: 20,000 x 20,000 pixels, more than data.max_pixels (200,000,000)",
        "08 loop.jpg": "unreadable: the file cannot be read (too many levels of symbolic links)",
        "09 image.heic": "unsupported: a HEIC image",
    }


def test_a_bad_file_affects_no_other(tiny_model, bad, tmp_path):
    folder, expected = bad
    summary = predict(tiny_model, [folder], tmp_path / "out", batch_size=4)
    assert (summary.images, summary.failures, summary.exit_code) == (3, len(expected), 3)
    failures = {os.path.basename(line["file"]): line["reason"] for line in lines(tmp_path / "out", "failures.jsonl")}
    assert set(failures) == set(expected)
    for name, reason in expected.items():
        assert failures[name].startswith(reason), name
    good = lines(tmp_path / "out")
    assert [os.path.basename(line["file"]) for line in good] == ["00 good.jpg", "06 good.jpg", "10 one pixel.png"]
    assert good[0]["labels"] == good[1]["labels"]


def test_a_path_that_is_not_a_file_is_a_failure(tiny_model, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    results = list(Predictor(tiny_model, "tensorflow")([tmp_path / "pipe.jpg", tmp_path, tmp_path / "gone.jpg"]))
    assert [result.reason.split(";")[0] for result in results] == [
        "not an image: not a regular file",
        "not an image: not a regular file",
        "missing: no such file",
    ]


def test_a_file_without_permission(tiny_model, image_folder, tmp_path):
    (tmp_path / "locked.png").write_bytes((image_folder / "2.png").read_bytes())
    (tmp_path / "locked.png").chmod(0)
    predictor, user = Predictor(tiny_model, "tensorflow"), os.geteuid()
    try:
        if user == 0:  # root may read everything
            os.seteuid(65534)
        (result,) = predictor([tmp_path / "locked.png"])
    finally:
        os.seteuid(user)
    assert result.reason.startswith("unreadable: the file cannot be read (permission denied)")


def test_a_repaired_file_is_predicted_by_the_next_run(tiny_model, bad, image_folder, tmp_path):
    folder, expected = bad
    predict(tiny_model, [folder], tmp_path / "out", runtime="tensorflow")
    (folder / "02 text.jpg").write_bytes((image_folder / "1 image.jpg").read_bytes())
    summary = predict(tiny_model, [folder], tmp_path / "out", runtime="tensorflow")
    assert (summary.images, summary.skipped, summary.failures) == (1, 3, len(expected) - 1)
    assert len(lines(tmp_path / "out")) == 4
    assert len(lines(tmp_path / "out", "failures.jsonl")) == len(expected) - 1


def test_a_run_with_all_files_predicted_does_not_load_the_model(tiny_model, image_folder, tmp_path, logged):
    predict(tiny_model, [image_folder], tmp_path / "out", runtime="tensorflow")
    before = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    logged.clear()
    summary = predict(tiny_model, [image_folder], tmp_path / "out", runtime="tensorflow")
    assert (summary.images, summary.skipped) == (0, 8)
    assert logged.messages == [str(summary)]  # the model was not even loaded
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == before


def test_shards_are_complete(tiny_model, image_folder, tmp_path):
    done = []
    for number in (1, 2):
        out = tmp_path / str(number)
        predict(tiny_model, [image_folder], out, shard=f"{number}/2", runtime="tensorflow")
        done += [line["file"] for line in lines(out)]
    assert sorted(done) == sorted(str(image_folder / name) for name in os.listdir(image_folder))


def test_overlays(tiny_model, image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(image_folder)
    summary = predict(tiny_model, ["2.png", "5 turned.jpg"], tmp_path / "out", overlay=True, runtime="tensorflow")
    assert summary.images == 2
    drawn = {name: cv2.imread(str(tmp_path / "out/overlays" / name)) for name in ("2.png.jpg", "5 turned.jpg.jpg")}
    height, width = drawn["5 turned.jpg.jpg"].shape[:2]
    assert all(image is not None for image in drawn.values()) and height > width  # upright
    assert sorted(os.listdir(tmp_path / "out/overlays")) == ["2.png.jpg", "5 turned.jpg.jpg"]


def test_overlays_of_files_with_one_name_stay_apart(tiny_model, image_folder, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jpg").write_bytes((image_folder / "1 image.jpg").read_bytes())
    predict(tiny_model, [tmp_path], tmp_path / "out", overlay=True, runtime="tensorflow")
    below = tmp_path / "out" / "overlays" / "_root" / tmp_path.relative_to("/")
    assert (below / "a" / "x.jpg.jpg").is_file() and (below / "b" / "x.jpg.jpg").is_file()


def test_a_warning_says_that_files_of_earlier_runs_are_not_drawn(tiny_model, image_folder, tmp_path, logged):
    predict(tiny_model, [image_folder / "2.png"], tmp_path / "out", runtime="tensorflow")
    logged.clear()
    sources = [image_folder / "2.png", image_folder / "6.bmp"]
    predict(tiny_model, sources, tmp_path / "out", runtime="tensorflow", overlay=True)
    assert logged.messages[-1].startswith(
        "--overlay draws only the files of this run. The 1 files that were predicted before are not drawn"
    )
    assert [path.name for path in (tmp_path / "out" / "overlays").rglob("*.jpg")] == ["6.bmp.jpg"]


def test_a_file_has_one_line_however_it_is_named(tiny_model, image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(image_folder.parent)
    folder = image_folder.name
    summary = predict(tiny_model, [f"{folder}/2.png", f"./{folder}", f"{folder}/*"], tmp_path / "out", batch_size=3)
    assert (summary.images, summary.skipped) == (8, 0)
    summary = predict(tiny_model, [f"./{folder}/../{folder}"], tmp_path / "out")
    assert (summary.images, summary.skipped) == (0, 8)
    assert len({line["file"] for line in lines(tmp_path / "out")}) == len(lines(tmp_path / "out")) == 8


@pytest.mark.parametrize("tta", ["dihedral", "ten_crop"])
def test_tta_on_every_runtime_and_in_exports(tiny_model, image_folder, tmp_path, tta):
    """The expected scores are those of the model on augmented copies that are made here."""
    model = copy_with_settings(tiny_model, tmp_path / "run", f"evaluate.tta={tta}")
    files = sorted(str(image_folder / name) for name in os.listdir(image_folder))
    trained = model.build()
    expected = []
    for file in files:
        image = model.task.read(read_encoded_bytes(file))["image"].numpy()
        if tta == "dihedral":
            images = [np.rot90(turned, k) for turned in (image, image[:, ::-1]) for k in range(4)]
        else:
            cuts = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]  # 18 pixels a side, 16 of the model
            images = [image[top : top + 16, left : left + 16] for top, left in cuts]
            images += [image[:, ::-1] for image in images]
        logits = trained(np.stack(images).astype(np.float32), training=False).numpy()
        scores = np.exp(logits - logits.max(1, keepdims=True))
        expected.append((scores / scores.sum(1, keepdims=True)).mean(0))
    export(model, tmp_path / "export", ExportOptions(formats=("savedmodel", "openvino"), verify_images=files))
    for path in (model, tmp_path / "export"):
        for runtime in ("tensorflow", "openvino"):
            found = [result.prediction["scores"] for result in Predictor(path, runtime, "f32", batch_size=3)(files)]
            np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=f"{path} {runtime}")


@pytest.mark.parametrize(
    "name, content, words",
    [
        (
            "saved_model.pb",
            None,
            "saved_model.pb or model.xml or model.onnx or model.tflite is missing; export the run again",
        ),
        ("saved_model.pb", b"", "saved_model.pb: can't be read .* export the run again"),
        ("saved_model.pb", b"these are words", "saved_model.pb: can't be read .* export the run again"),
        ("variables/variables.index", None, "saved_model.pb: can't be read .*beside it is damaged; export"),
        ("variables/variables.data-00000-of-00001", b"1", "saved_model.pb: can't be read .*beside it is damaged"),
        ("model.xml", b"<?xm", "model.xml: can't be read .* export the run again"),
        ("model.bin", None, "model.xml: can't be read .*beside it is damaged"),
        ("model.bin", b"1", "model.xml: can't be read .*beside it is damaged"),
        ("model.onnx", b"these are words", "model.onnx: can't be read .* export the run again"),
        ("model.tflite", b"these are words", "model.tflite: can't be read .* export the run again"),
    ],
)
def test_a_damaged_export_is_reported(exported, exports, image_folder, tmp_path, name, content, words):
    complete = next(folder for folder in (exported, *exports.values()) if (folder / name).exists())
    shutil.copytree(complete, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    if content is not None:
        (tmp_path / "model" / name).write_bytes(content)
    with pytest.raises(RetinueError, match=words) as raised:
        predict(tmp_path / "model", [image_folder / "2.png"], tmp_path / "out")
    assert "\n" not in str(raised.value)


def test_an_overlay_that_cannot_be_written_is_reported(tiny_model, image_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "overlays").write_text("in the way")
    with pytest.raises(RetinueError, match="overlays.*can't be written"):
        predict(tiny_model, [image_folder / "2.png"], tmp_path / "out", overlay=True, runtime="tensorflow")
    assert json.loads((tmp_path / "out" / "predict.json").read_text())["status"] == "failed"
    assert lines(tmp_path / "out") == []  # it is not done, so the next run makes line and overlay


def test_results_inside_the_source_are_not_predicted(tiny_model, image_folder, tmp_path):
    (tmp_path / "a.png").write_bytes((image_folder / "2.png").read_bytes())
    for _ in range(2):
        predict(tiny_model, [tmp_path], tmp_path / "out", overlay=True, runtime="tensorflow")
    assert [line["file"] for line in lines(tmp_path / "out")] == [str(tmp_path / "a.png")]


def test_another_model_is_refused_before_anything_is_changed(tiny_model, other_model, image_folder, tmp_path):
    predict(tiny_model, [image_folder / "2.png"], tmp_path / "out", runtime="tensorflow")
    before = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    with pytest.raises(UsageError, match="holds predictions of .* use another --out"):
        predict(other_model, [image_folder], tmp_path / "out", runtime="tensorflow")
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == before


def test_no_files_leave_no_folder(tiny_model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images found"):
        predict(tiny_model, [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UsageError, match="no such file"):
        predict(tiny_model, [tmp_path / "gone.jpg"], tmp_path / "out")
    with pytest.raises(UsageError, match="coco is for detection"):
        predict(tiny_model, [__file__], tmp_path / "out", formats=("coco",))
    assert not (tmp_path / "out").exists()


def test_files_are_read_as_they_are_needed(tiny_model, image_folder):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield image_folder / "2.png"

    results = Predictor(tiny_model, "tensorflow", batch_size=4)(endless())
    for _ in range(40):
        next(results)
    results.close()
    assert len(taken) <= 40 + 3 * 4


def test_an_interrupted_run_continues(tiny_model, image_folder, tmp_path, logged):
    def interrupt(summary):
        if summary.images == 3:
            raise KeyboardInterrupt

    logged.clear()
    with pytest.raises(KeyboardInterrupt):
        predict(tiny_model, [image_folder], tmp_path / "out", runtime="tensorflow", batch_size=2, progress=interrupt)
    assert logged.messages[-1] == "interrupted after 3 images; run the same command again to continue"
    assert len(lines(tmp_path / "out")) == 3
    assert json.loads((tmp_path / "out" / "predict.json").read_text())["status"] == "interrupted"
    summary = predict(tiny_model, [image_folder], tmp_path / "out", runtime="tensorflow")
    assert (summary.images, summary.skipped) == (5, 3)


KILLED = """
import sys
from retinue.pipeline.prediction.predict import predict
predict(sys.argv[1], ["@" + sys.argv[2]], sys.argv[3], runtime="tensorflow", batch_size=4, formats=("jsonl", "csv"))
"""


def test_a_killed_run_continues(exported, image_folder, tmp_path):
    for number in range(1000):
        (tmp_path / f"{number}.png").symlink_to(image_folder / "2.png")
    listed, out = tmp_path / "list.txt", tmp_path / "out"
    listed.write_text("\n".join(str(tmp_path / f"{number}.png") for number in range(1000)))
    running = subprocess.Popen([sys.executable, "-c", KILLED, exported, listed, out], stderr=subprocess.DEVNULL)
    written = out / "predictions.jsonl"
    while running.poll() is None and not (written.exists() and written.stat().st_size > 5_000):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert running.returncode == -signal.SIGKILL
    with open(written, "rb+") as file:  # as if the kill had come within a line
        file.truncate(written.stat().st_size - 7)
    before = written.read_bytes().count(b"\n")
    summary = predict(exported, [f"@{listed}"], out, runtime="tensorflow", formats=("jsonl", "csv"))
    assert 0 < before == summary.skipped < 1000
    assert [os.path.basename(line["file"]) for line in lines(out)] == [f"{number}.png" for number in range(1000)]
    assert sum(1 for _ in open(out / "predictions.csv")) == 1001


def test_an_unfinished_training_is_a_warning(tiny_model, image_folder, tmp_path, logged):
    run = shutil.copytree(tiny_model.folder, tmp_path / "run")
    for status, words in (("interrupted", "was interrupted"), ("running", "is still running, or was killed")):
        (run / "run.json").write_text(json.dumps({"status": status}))
        logged.clear()
        predict(type(tiny_model)(run), [image_folder / "2.png"], tmp_path / status, runtime="tensorflow")
        assert logged.messages[0].startswith(f"warning: {run}: its training {words}; its best weights so far are used")
    (run / "run.json").write_text(json.dumps({"status": "done"}))
    assert type(tiny_model)(run).warning == ""


def test_size_from_the_header(image_folder, huge):
    assert image_size(image_folder / "5 turned.jpg") == (24, 48)
    assert image_size(image_folder / "10.tif") == (11, 9)
    assert image_size(huge) == (20_000, 20_000)
    with pytest.raises(ValueError, match="an unknown image format"):
        image_size(__file__)
