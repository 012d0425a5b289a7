"""The command line as a user meets it: exit codes, messages without tracebacks, what is imported."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from retinue import cli


@pytest.fixture
def retinue(monkeypatch, capsys):
    """A function that runs a command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["retinue", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main(own_process=False)
            sys.exit(0)
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


def image(path, size=(40, 30), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    for number in range(6):
        image(tmp_path / "images" / ("cat" if number % 2 else "dog") / f"{number}.jpg", seed=number)
    return tmp_path / "images"


def imported_by(code):
    program = (
        f"import sys; {code}; print(sorted(m for m in ('tensorflow', 'keras', 'openvino', 'cv2') if m in sys.modules))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]


def test_help_and_check_import_no_tensorflow(images, tmp_path):
    assert imported_by("import retinue, retinue.cli") == "[]"
    assert imported_by(f"import retinue; retinue.check({str(images)!r})") == "[]"


def test_commands_import_tensorflow_by_themselves():
    """It greets on the screen when something else imports it first, and a wrong path would wait for it."""
    modules = (
        "training.train",
        "prediction.predict",
        "evaluation.evaluate",
        "training.launch",
        "flow",
        "doctor",
    )
    assert "tensorflow" not in imported_by("import " + ", ".join(f"retinue.pipeline.{name}" for name in modules))


def test_opening_a_run_imports_no_tensorflow(tmp_path):
    """Or `--resume` would greet, and join the other workers too late."""
    (tmp_path / "config.yaml").write_text("task: classification\n")
    (tmp_path / "classes.json").write_text('{"classes": ["cat", "dog"], "multi_label": false}')
    opened = imported_by(f"from retinue.pipeline.runs.run import open_model; open_model({str(tmp_path)!r})")
    assert "tensorflow" not in opened


def test_help_lists_every_command(retinue):
    code, out, _ = retinue("--help")
    assert code == 0
    for command in ("check", "train", "evaluate", "predict", "export", "flow", "models", "recipes", "doctor", "demo"):
        assert f"\n  {command} " in out


def test_check_prints_and_writes(retinue, images, tmp_path):
    code, out, err = retinue("check", images, "--out", tmp_path / "check")
    assert (code, err) == (0, "")
    assert "cat 3" in out and f"retinue train {images}" in out
    assert {path.name for path in (tmp_path / "check").iterdir()} == {"report.json", "problems.csv", "samples.jpg"}


def test_check_json_is_json(retinue, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = retinue("check", images, "--json")
    assert code == 0 and json.loads(out)["files"] == 6
    assert not (tmp_path / "check").exists()


def test_check_ends_with_1_when_training_would_fail(retinue, images, tmp_path):
    for path in (images / "cat").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    code, out, _ = retinue("check", images, "--out", tmp_path / "check")
    assert code == 1
    assert "truncated" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train", "{images}", "--set", "train.batchsize=3"], "did you mean train.batch_size?"),
        (["train", "{images}", "--recipe", "fine-tun"], "did you mean fine-tune?"),
        (["train", "{images}", "--out", "{images}"], "the folder exists already; give another --out"),
        (["train", "{images}", "--resume"], "--resume needs --out"),
        (["train", "{images}", "--resume", "--out", "{images}", "--set", "seed=1"], "keeps its own configuration"),
        (["train", "{images}", "--resume", "--out", "{images}/no"], "there is no such folder"),
        (["train", "{images}", "--backbone", "efficientnet_lite9", "--out", "{images}/../run"], "efficientnet_lite0"),
        (["check", "{images}x"], "did you mean {images}?"),
        (["evaluate", "{images}", "{images}"], "not a model of retinue"),
        (["predict", "{images}/no", "{images}", "--out", "out"], "there is no such folder"),
        (["export", "{images}", "--out", "out"], "not a model of retinue"),
    ],
)
def test_wrong_use_ends_with_2_and_one_line(retinue, images, arguments, message):
    code, _, err = retinue(*[argument.format(images=images) for argument in arguments])
    assert code == 2
    assert message.format(images=images) in err
    assert "Traceback" not in err


def test_wrong_key_in_a_recipe_file_names_file_and_line(retinue, images, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("seed: 1\ntrain:\n  optimiser: sgd\n")
    code, _, err = retinue("train", images, "--recipe", recipe)
    assert code == 2
    assert f"{recipe}:3: unknown key train.optimiser; did you mean train.optimizer?" in err


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder.mkdir(), "images"),
        (lambda folder: [image(folder / "cat" / f"{n}.jpg", seed=n) for n in range(4)], "only one class"),
        (lambda folder: [image(folder / f"{n}.jpg", seed=n) for n in range(4)], "folder"),
        (lambda folder: max_invalid_fraction(folder, 3), "data.on_invalid=skip"),
    ],
    ids=["empty folder", "one class", "no class folders", "many bad files"],
)
def test_data_that_is_not_fit_ends_with_a_line(retinue, tmp_path, prepare, message):
    folder = tmp_path / "images"
    prepare(folder)
    code, _, err = retinue("train", folder, "--out", tmp_path / "run")
    assert code in (1, 2)
    assert message in err and str(folder) in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def max_invalid_fraction(folder, bad):
    for number in range(20):
        path = image(folder / ("cat" if number % 2 else "dog") / f"{number}.jpg", seed=number)
        if number < bad:
            path.write_bytes(b"")


def test_csv_mistakes_name_file_and_line(retinue, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,label\na.jpg,cat\n")
    code, _, err = retinue("train", table)
    assert code in (1, 2) and "list.csv" in err and "file" in err
    image(tmp_path / "a.jpg")
    table.write_text("file,label\na.jpg,cat\nb.jpg,dog\n")
    code, out, _ = retinue("check", table, "--out", tmp_path / "check")
    assert code == 1 and "b.jpg" in out


def test_columns_of_a_table_can_be_named(retinue, tmp_path):
    table = tmp_path / "list.csv"
    for number in range(8):
        image(tmp_path / f"{number}.jpg", seed=number)
    table.write_text("shot,mood\n" + "".join(f"{number},{'glad' if number % 2 else 'sad'}\n" for number in range(8)))
    code, _, err = retinue("check", table, "--out", tmp_path / "check")
    command = f"retinue check {table} --columns file=shot,label=mood"
    assert code == 1 and command in err
    code, out, _ = retinue("check", table, "--columns", "file=shot,label=mood", "--out", tmp_path / "check")
    assert code == 0 and "glad 4, sad 4" in out
    assert f"next     retinue train {table} --columns file=shot,label=mood" in out
    code, _, err = retinue("check", tmp_path / "0.jpg", "--columns", "label=mood")
    assert code == 2 and "--columns names columns of a table, but this is none" in err


def test_models_and_recipes(retinue):
    code, out, _ = retinue("models", "efficientnet_lite*")
    assert code == 0 and "efficientnet_lite0" in out and "75.1" in out
    code, out, _ = retinue("models", "--json")
    assert len(json.loads(out)) > 40
    code, out, _ = retinue("recipes")
    assert code == 0 and "fine-tune" in out


def test_summary_shows_layers(retinue):
    code, out, _ = retinue("summary", "lenet5", "--size", "32")
    assert code == 0 and "28 x 28 x 6" in out and "whole image" in out and "effective stride (px)" in out
    code, out, _ = retinue("summary", "lenet5", "--size", "32", "--csv")
    assert out.splitlines()[0].startswith("name,kind,output") and ",28x28x6," in out
    code, _, err = retinue("summary", "lenet6")
    assert code == 2 and "lenet5" in err


@pytest.mark.parametrize(
    ("command", "reported"),
    [
        (("predict", "RUN", "IMAGES", "--out", "OUT", "--runtime", "openvno"), "'openvno' is not one of 'auto', "),
        (("predict", "RUN", "IMAGES", "--out", "OUT", "--engine", "rya"), "'rya' is not one of 'local', 'ray'"),
        (("evaluate", "RUN", "IMAGES", "--precision", "f16"), "'f16' is not one of 'auto', 'f32', "),
        (("export", "RUN", "--out", "OUT", "--to", "onnx,pt"), "pt: unknown; use one or more of savedmodel, "),
    ],
)
def test_a_mistaken_choice_is_reported_before_tensorflow_is_loaded(command, reported):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "retinue.cli", *command], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert reported in " ".join(done.stderr.replace("│", " ").split())
    assert "| tensorflow" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "new"),
    [
        (("inspect", "resnet50", "--json"), "`retinue inspect` was renamed to `retinue summary`"),
        (("predict", "RUN", "a.jpg", "--out", "o", "--batch", "3"), "--batch was renamed to --batch-size"),
        (("predict", "RUN", "a.avi", "--out", "o", "--step", "2"), "--step was renamed to --stride"),
        (("predict", "RUN", "a.jpg", "--out", "o", "--workers", "2"), "--workers was renamed to --num-workers"),
        (("export", "RUN", "--out", "o", "--accept-loss", "1"), "--accept-loss was renamed to --max-score-drop"),
        (("export", "RUN", "--out", "o", "--images", "a.jpg"), "--images was renamed to --verify-images"),
        (("explain", "RUN", "a.jpg", "--out", "o", "--check"), "--check was renamed to --sanity-checks"),
        (("benchmark", "RUN", "a.jpg", "--count", "3"), "--count was renamed to --limit"),
        (
            ("launch", "--workers", "2", "--restarts", "1", "--", "train", "d"),
            "--restarts was renamed to --max-restarts",
        ),
    ],
)
def test_an_old_option_or_command_is_answered_with_its_new_name(retinue, arguments, new):
    code, _, err = retinue(*arguments)
    assert code == 2
    assert new in " ".join(err.replace("\u2502", " ").split())
