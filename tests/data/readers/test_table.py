"""The policy that the tables of labels, boxes, masks and clips share."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.boxes_csv import read_boxes_csv
from retinue.data.readers.clips_csv import read_clips_csv
from retinue.data.readers.labels_csv import read_labels_csv
from retinue.data.readers.masks_csv import read_masks_csv
from retinue.data.readers.table import Table, read_header, resolve_path
from retinue.tests.helpers.mask_images import halves, make_image, make_mask

# For each reader: the columns that it needs, and the other cells of a line.
READERS = {
    "labels": (read_labels_csv, "label", "cat"),
    "boxes": (read_boxes_csv, "x1,y1,x2,y2,label", "1,1,4,4,cat"),
    "masks": (read_masks_csv, "mask", "mask.png"),
    "clips": (read_clips_csv, "label", "cat"),
}


@pytest.fixture(params=READERS)
def read(request, tmp_path):
    """Return a function that writes a table and reads it.

    Its arguments are further columns, and lines of which COLUMNS and CELLS are replaced.
    """
    function, columns, cells = READERS[request.param]
    for name in ("a.jpg", "b.jpg"):
        make_image(tmp_path / name)
    make_mask(tmp_path / "mask.png", halves())

    def write_and_read(*lines):
        text = "\n".join(lines).replace("COLUMNS", columns).replace("CELLS", cells)
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
        return function(tmp_path / "table.csv")

    write_and_read.kind = request.param
    return write_and_read


def test_case_spaces_and_empty_lines_do_not_matter(read, tmp_path):
    dataset = read(" File ,COLUMNS, Split ", " a.jpg ,CELLS, Train ", "", ", ,", "b.jpg,CELLS,validation")
    assert list(dataset.files) == [f"{tmp_path}/a.jpg", f"{tmp_path}/b.jpg"]
    assert list(dataset.splits) == ["train", "val"]


def test_unknown_columns_are_findings(read):
    dataset = read("file,COLUMNS,camera,spilt", "a.jpg,CELLS,x,train")
    findings = [finding for finding in dataset.findings if finding.kind == "unused column"]
    assert [(finding.severity, finding.item, finding.action) for finding in findings] == [
        ("note", "camera", "ignored"),
        ("warning", "spilt", "ignored; did you mean split?"),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path,COLUMNS", "a.jpg,CELLS"), "line 1: the column file is missing .*; rename the column path to file"),
        (("file,COLUMNS,group,Group", "a.jpg,CELLS,1,2"), "line 1: the column group is there twice; rename one"),
        (("file,COLUMNS,split", "a.jpg,CELLS,", "b.jpg,CELLS,trian"), "line 3: 'trian' is not a split; did you mean"),
        (("file,COLUMNS",), "there are no lines below the header; add a line for each file"),
        (("file,COLUMNS", "c.jpg,CELLS"), "none of its 1 files exists, .*relative to the folder of the CSV"),
        (("file,COLUMNS", 'a.jpg,"CELLS'), "line 2: a double quote is opened here and never closed"),
        (("file,COLUMNS", "CELLS"), r"line 2: it has \d values?, but the header names \d columns; add the missing"),
        (("file,COLUMNS", ",CELLS"), "line 2: the file is empty; write the path"),
    ],
)
def test_every_reader_refuses_the_same(read, lines, message):
    with pytest.raises(RetinueError, match=f"table.csv:? {message}"):
        read(*lines)


def test_a_broken_line_is_refused_except_among_boxes(read):
    lines = ("file,COLUMNS", "a.jpg,CELLS", "b.jpg", "", "b.jpg")
    if read.kind == "boxes":
        findings = [finding for finding in read(*lines).findings if finding.kind == "broken line"]
        assert [(finding.severity, finding.item) for finding in findings] == [
            ("invalid", "line 3"),
            ("invalid", "line 5"),
        ]
    else:
        with pytest.raises(RetinueError, match=r"line 3: it has 1 value, .* \(and 1 more line like it\); add the miss"):
            read(*lines)


def test_absent_columns_are_empty(tmp_path):
    (tmp_path / "table.csv").write_text("file,label\na.jpg,cat\n")
    (row,) = Table(str(tmp_path / "table.csv"), ("file", "label"), ("split",))
    assert (row.line, row["file"], row["label"], row["split"]) == (2, "a.jpg", "cat", "")


def test_the_header_and_the_first_line_are_read(tmp_path):
    (tmp_path / "table.csv").write_text("sep=|\nFile | mask\n a.jpg|b.png\n")
    assert read_header(str(tmp_path / "table.csv")) == (["file", "mask"], ["a.jpg", "b.png"])
    (tmp_path / "table.csv").write_text("")
    assert read_header(str(tmp_path / "table.csv")) == ([], [])


def test_backslashes_separate_folders_unless_a_file_has_them_in_its_name(tmp_path):
    assert resolve_path(str(tmp_path / "table.csv"), "x\\a.jpg") == f"{tmp_path}/x/a.jpg"
    (tmp_path / "x\\a.jpg").touch()
    assert resolve_path(str(tmp_path / "table.csv"), "x\\a.jpg") == f"{tmp_path}/x\\a.jpg"
