"""The policy that the tables of labels, boxes, masks and clips share."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read as read_source
from retinue.tests.helpers.mask_images import halves, make_image, make_mask

# For each kind of table: the columns that it needs, and the other cells of a line.
KINDS = {
    "labels": ("label", "cat"),
    "boxes": ("x1,y1,x2,y2,label", "1,1,4,4,cat"),
    "masks": ("mask", "mask.png"),
    "clips": ("start,label", "1,cat"),
}


@pytest.fixture(params=KINDS)
def read(request, tmp_path):
    """Return a function that writes a table and reads it.

    Its arguments are further columns, and lines of which COLUMNS and CELLS are replaced.
    """
    columns, cells = KINDS[request.param]
    for name in ("a.jpg", "b.jpg"):
        make_image(tmp_path / name)
    make_mask(tmp_path / "mask.png", halves())

    def write_and_read(*lines):
        text = "\n".join(lines).replace("COLUMNS", columns).replace("CELLS", cells)
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
        return read_source(tmp_path / "table.csv")

    write_and_read.kind = request.param
    return write_and_read


def test_case_spaces_and_empty_lines_do_not_matter(read, tmp_path):
    dataset = read(" File ,COLUMNS, Split ", " a.jpg ,CELLS, Train ", "", ", ,", "b.jpg,CELLS,validation")
    assert list(dataset.files) == [f"{tmp_path}/a.jpg", f"{tmp_path}/b.jpg"]
    assert list(dataset.splits) == ["train", "val"]


def test_unknown_columns_are_findings(read):
    dataset = read("file,COLUMNS,camera,spilt,partition", "a.jpg,CELLS,x,train,2")
    findings = [finding for finding in dataset.findings if finding.kind == "unused column"]
    assert [(finding.severity, finding.item, finding.action) for finding in findings] == [
        ("note", "camera", "ignored"),
        ("warning", "spilt", "ignored; did you mean split?"),
        ("warning", "partition", "ignored; if these are the splits, write train, val and test instead"),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("x,COLUMNS", "nowhere,CELLS"), "line 1: the column file is missing .*; none of its columns names files"),
        (("file,COLUMNS,group,Group", "a.jpg,CELLS,1,2"), "line 1: the column group is there twice; rename one"),
        (("file,COLUMNS,split", "a.jpg,CELLS,", "b.jpg,CELLS,trian"), "line 3: 'trian' is not a split; did you mean"),
        (("file,COLUMNS",), "there are no lines below the header; add a line for each file"),
        (("file,COLUMNS", "c.jpg,CELLS"), "none of its 1 files exists, .*relative to the folder of the table"),
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


def test_empty_values_behind_the_last_column_do_not_count(read):
    assert len(read("file,COLUMNS", "a.jpg,CELLS,", "b.jpg,CELLS,,")) == 2
