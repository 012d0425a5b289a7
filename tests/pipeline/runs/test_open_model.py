"""Opening a model's folder: what is no model, what is incomplete, and what has changed since it was verified."""

import json
import shutil

import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import open_model


def test_a_folder_of_versions_names_its_newest(exported, tmp_path):
    for version in ("2", "10", "old"):
        shutil.copytree(exported, tmp_path / version)
    with pytest.raises(UsageError, match=f"config.yaml is missing.*newest version is {tmp_path / '10'}$"):
        open_model(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="give a run folder or an export folder"):
        open_model(tmp_path / "empty")


def test_an_export_without_its_description_is_no_run(exported, tmp_path):
    copied = shutil.copytree(exported, tmp_path / "copied")
    (copied / "export.json").unlink()
    with pytest.raises(RetinueError, match="an export whose export.json is missing; copy the folder again"):
        open_model(copied)


def test_files_that_have_changed_since_the_export(exported, image_folder, tmp_path, logged):
    copied = shutil.copytree(exported, tmp_path / "copied")
    logged.clear()
    assert open_model(copied).warning == ""
    variables = next((copied / "variables").glob("variables.data*"))
    content = bytearray(variables.read_bytes())
    content[len(content) // 2] ^= 1
    variables.write_bytes(content)
    assert "its files have changed since the export was verified" in open_model(copied).warning
    described = json.loads((copied / "export.json").read_text("utf-8"))
    del described["fingerprint"]  # as exports were made before
    (copied / "export.json").write_text(json.dumps(described), encoding="utf-8")
    assert open_model(copied).warning == ""
    config = copied / "config.yaml"
    shutil.copyfile(exported / "export.json", copied / "export.json")
    shutil.copyfile(next((exported / "variables").glob("variables.data*")), variables)
    config.write_text(config.read_text("utf-8") + "# mine\n", encoding="utf-8")
    predict(copied, [image_folder / "2.png"], tmp_path / "out")
    assert "its files have changed" in logged.messages[0]
