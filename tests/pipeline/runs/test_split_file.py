"""`split.csv`: what is written into it, and what is read back."""

import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.pipeline.runs.split_file import SplitRow, anonymous_split_csv, read_split_file, split_csv


class NamesOfLabel:
    """The part of a task that `split_csv` uses."""

    def class_names_of_record(self, dataset, record):
        return [dataset.classes[label] for label in record["labels"]]


def test_rows_that_are_written_are_read_back(tmp_path):
    columns = {"labels": [[0, 1], [1], []], "image_id": [7, "7", "09"], "start": [0, 1.5, 0], "end": [0, 2.5, 0]}
    dataset = Dataset("classification", ["/a, b.jpg", "/c.jpg", "/d.jpg"], ("cat", "dog"), columns)
    dataset = dataset.with_splits(["train", "val", "test"])
    with pytest.raises(AssertionError):
        split_csv(NamesOfLabel(), dataset)
    object.__setattr__(dataset, "content_ids", ["x", "y", "z"])
    text = split_csv(NamesOfLabel(), dataset)
    assert text.splitlines()[:2] == [
        "file,label,split,content_id,image_id,start,end",
        '"/a, b.jpg",cat;dog,train,x,7,0,0',
    ]
    (tmp_path / "split.csv").write_text(text)
    rows = read_split_file(tmp_path)
    assert rows == [
        SplitRow("train", "/a, b.jpg", "cat;dog", "x", 7),
        SplitRow("val", "/c.jpg", "dog", "y", "7", 1.5, 2.5),
        SplitRow("test", "/d.jpg", "", "z", "09"),
    ]
    assert anonymous_split_csv(rows) == "content_id,split\nx,train\ny,val\nz,test\n"


def test_ids_of_a_column_of_numbers_and_ids_that_are_no_json_are_read(tmp_path):
    dataset = Dataset("classification", ["/a.jpg"], ("cat",), {"labels": [[0]], "image_id": np.array([2**60])})
    object.__setattr__(dataset, "content_ids", ["x"])
    (tmp_path / "split.csv").write_text(split_csv(NamesOfLabel(), dataset.with_splits(["val"])))
    assert read_split_file(tmp_path)[0].image_id == 2**60
    (tmp_path / "split.csv").write_text("file,split,image_id\na,val,000139\nb,val,\nc,val,IMG 1\n")
    assert [row.image_id for row in read_split_file(tmp_path)] == ["000139", None, "IMG 1"]


def test_a_folder_without_the_file_has_no_rows(tmp_path):
    assert read_split_file(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,part\na.jpg,train\n", "split.csv: the column split is missing"),
        ("file,split,start\na.mp4,train,0\na.mp4,val,x\n", "split.csv line 3: start or end is not a number of seconds"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, message):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(RetinueError, match=message):
        read_split_file(tmp_path)
