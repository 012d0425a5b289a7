"""Reading a data source with the settings of a job."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.pipeline.inputs.prepare import config_for, read_dataset
from retinue.tests.helpers.box_files import save_image


def test_columns_are_a_setting_of_the_run(tmp_path):
    save_image(tmp_path / "a.jpg")
    table = tmp_path / "table.csv"
    table.write_text("file,x1,y1,x2,y2,kind_of\na.jpg,1,2,30,40,cat\n")
    config = config_for(table, options={"data.columns": "label=kind_of"})
    assert config.task == "detection" and config.data.columns == "label=kind_of"
    assert read_dataset(table, config).classes == ("cat",)


def test_data_to_evaluate_may_have_other_columns_than_the_run(tmp_path):
    save_image(tmp_path / "a.jpg")
    table = tmp_path / "table.csv"
    table.write_text("file,label\na.jpg,cat\n")
    config = config_for(table, "classification", options={"data.columns": "file=shot,label=mood"})
    assert read_dataset(table, config, training=False).classes == ("cat",)
    with pytest.raises(RetinueError, match="--columns names shot as file, which is not there"):
        read_dataset(table, config)
