"""Tables of labels: how they may be written, and what is refused with the number of its line."""

import re

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read as read_source
from retinue.data.readers.tables.text import TableText


@pytest.fixture
def table(tmp_path):
    """Return a function that writes images.csv beside a.jpg ... e.jpg and reads it."""
    for name in "abcde":
        (tmp_path / f"{name}.jpg").touch()

    def read(content):
        path = tmp_path / "images.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_source(path)

    return read


def names(dataset):
    """Return the label or the labels of every record, by name."""
    if dataset.multi_label:
        return [[dataset.classes[label] for label in labels] for labels in dataset.columns["labels"]]
    return [dataset.classes[label] for label in dataset.columns["label"]]


def test_a_table_with_files_and_labels_is_read(table, tmp_path):
    dataset = table("file,label\nb.jpg,dog\na.jpg,cat\nc.jpg,dog\n")
    assert dataset.classes == ("cat", "dog")
    assert names(dataset) == ["dog", "cat", "dog"]
    assert list(dataset.files) == [f"{tmp_path}/{name}.jpg" for name in "bac"]
    assert set(dataset.splits) == {""} and dataset.groups is None
    assert (dataset.format, dataset.source) == ("labels csv", f"{tmp_path}/images.csv")
    assert dataset.findings == ()


@pytest.mark.parametrize(
    "content",
    [
        "file,label\na.jpg,cat\nb.jpg,dog\n",
        "file;label\na.jpg;cat\nb.jpg;dog\n",
        "file\tlabel\na.jpg\tcat\nb.jpg\tdog\n",
        "\ufefffile,label\r\na.jpg,cat\r\nb.jpg,dog\r\n",
        '"file","label"\n"a.jpg","cat"\n"b.jpg","dog"',
        " File , LABEL \n a.jpg , cat \n\nb.jpg,dog\n\n",
        "label,file\ncat,a.jpg\ndog,./b.jpg\n",
        "sep=;\r\nfile;label\r\na.jpg;cat\r\nb.jpg;dog\r\n",
        '\ufeff"SEP=|"\nfile|label\na.jpg|cat\nb.jpg|dog\n',
        "sep=\t\nfile\tlabel\na.jpg\tcat\nb.jpg\tdog",
        "file,label\na.jpg,cat\nnone\\..\\b.jpg,dog\n",
        "\n,\nfile,label\na.jpg,cat\nb.jpg,dog\n",
    ],
)
def test_a_table_may_be_written_in_several_ways(table, tmp_path, content):
    dataset = table(content)
    assert list(dataset.files) == [f"{tmp_path}/a.jpg", f"{tmp_path}/b.jpg"]
    assert names(dataset) == ["cat", "dog"]


def test_values_in_quotes_may_hold_separators_and_quotes(table, tmp_path):
    (tmp_path / "x, y.jpg").touch()
    dataset = table('file,label\n"x, y.jpg","big, ""wild"" cat"\nb.jpg,dog\n')
    assert dataset.files[0] == f"{tmp_path}/x, y.jpg"
    assert dataset.classes == ('big, "wild" cat', "dog")


def test_paths_may_be_absolute(table, tmp_path):
    assert table(f"file,label\n{tmp_path}/a.jpg,cat\nb.jpg,dog\n").files[0] == f"{tmp_path}/a.jpg"


def test_splits_and_groups_are_read(table):
    dataset = table("file,label,split,group\na.jpg,x,Train,p1\nb.jpg,y,validation,p2\nc.jpg,x,test,\nd.jpg,y,,p1\n")
    assert list(dataset.splits) == ["train", "val", "test", ""]
    assert list(dataset.groups) == ["p1", "p2", "", "p1"]


@pytest.mark.parametrize(
    "content",
    [
        "file,label\na.jpg,cat;dog\nb.jpg,cat\nc.jpg,\n",
        "file,label\na.jpg,cat | dog|cat\nb.jpg,cat\nc.jpg,\n",
        'file;label\na.jpg;"cat;dog"\nb.jpg;cat\nc.jpg;\n',
        "file,label\na.jpg,cat\na.jpg,dog\nb.jpg,cat\nc.jpg,\n",
    ],
)
def test_a_file_may_have_several_labels(table, content):
    dataset = table(content)
    assert dataset.multi_label and len(dataset) == 3
    assert names(dataset) == [["cat", "dog"], ["cat"], []]
    assert [(finding.severity, finding.reason) for finding in dataset.findings] == [
        ("note", "1 of 3 files have more than one")
    ]


def test_a_repeated_line_counts_once_and_is_reported(table):
    dataset = table("file,label\na.jpg,cat\nb.jpg,dog\n./a.jpg,cat\n")
    assert names(dataset) == ["cat", "dog"]
    assert [(finding.item, finding.reason) for finding in dataset.findings] == [("line 4", "line 4 repeats line 2")]


def test_an_unknown_column_is_reported_and_a_mistyped_one_is_a_warning(table):
    dataset = table("file,label,photographer,spilt\na.jpg,cat,Ann,train\nb.jpg,dog,Bob,val\n")
    assert [(finding.severity, finding.item, finding.action) for finding in dataset.findings] == [
        ("note", "photographer", "ignored"),
        ("warning", "spilt", "ignored; did you mean split?"),
    ]


def test_a_missing_file_among_others_is_left_to_the_check(table):
    assert len(table("file,label\na.jpg,cat\nnone.jpg,dog\n")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "",
            "line 1: the columns file and label are missing (the header names nothing); add what is missing",
        ),
        ("file,label\n\n", "there are no lines below the header"),
        (
            "file,lable\na.jpg,x\n",
            "label is missing (the header names file, lable); name what holds it: retinue check {folder}/images.csv "
            "--columns label=lable",
        ),
        (
            "shot_id,emotion\na,x\n",
            "the columns file and label are missing (the header names shot_id, emotion); name what holds them: "
            "retinue check {folder}/images.csv --columns file=shot_id,label=emotion",
        ),
        (
            "file,class,category\na.jpg,x,y\n",
            "line 1: class and category could both be the labels; name one: --columns label=class",
        ),
        ('file,label\na.jpg,"[{""x"": 1}]"\n', "line 1: its column label holds lists or JSON; write several labels"),
        ("none.jpg,cat\n", "line 1: it begins with none.jpg, cat: no header, and no file that exists; add a first"),
        ("a.jpg,1,2\n", "line 1: it has no header, and what its 3 columns mean is not clear; add a first line"),
        ("file,pixels\n1,0 0\n", "label is missing"),
        ("label,pixels\n1,0 0 255\n", "the images seem to be in the table itself; write each as a file"),
        ("file,EncodedPixels\na.jpg,1 2\n", "run lengths in a table are not read; write each mask as a PNG file"),
        ("file,label,file\na.jpg,x,b.jpg\n", "line 1: the column file is there twice; rename one of them"),
        (
            "file,label\na.jpg,x\nb.jpg\n",
            "line 3: it has 1 value, but the header names 2 columns; add the missing",
        ),
        (
            "file,label\na.jpg,x,y\nb.jpg,y,z\n",
            "line 2: it has 3 values, but the header names 2 columns (and 1 more",
        ),
        ("file,label\na.jpg,x\n,y\n", "line 3: the file is empty; write the path"),
        ("file,label\nb.jpg,\nc.jpg, \n", "line 2: the label is empty (and 1 more line like it)"),
        ("file,label,split\na.jpg,x,trian\n", "line 2: 'trian' is not a split; did you mean train?"),
        ("file,label,split\na.jpg,x,7\n", "line 2: '7' is not a split; write train, val or test, or leave it empty"),
        ("file,label\nx/1.jpg,x\nx/2.jpg,y\n", "none of its 2 files exists, the first would be"),
        ("file,label,split\na.jpg,x,train\na.jpg,y,val\n", "has the split val here, but train in line 2"),
        ("file,label,group\na.jpg,x,\na.jpg,y,p\n", "line 3: {folder}/a.jpg has the group p here, but none in line 2"),
        ("sep=;\nfile;label\na.jpg;x\nb.jpg\n", "line 4: it has 1 value, but the header names 2 columns"),
        ("sep=;\nfile;lable\n", "line 2: the column label is missing (the header names file, lable)"),
        ("sep=;\n", "line 1: the columns file and label are missing (the header names nothing)"),
        ('file,label\na.jpg,x\nb.jpg,"y\nc.jpg,z\n', "line 3: a double quote is opened here and never closed"),
        ('file,label\na.jpg,x\n"b.jpg,y', "line 3: a double quote is opened here and never closed"),
        ('file,label\na.jpg,x\nb.jpg,"y\n' + "c.jpg,z\n" * 20_000, "line 3: a double quote is opened here"),
        (
            "file,label\na.jpg," + "x" * 140_000,
            "line 2: it has a value of more than 128 KB; is this a table",
        ),
        (
            'file,label\na.jpg,"x\nb.jpg,y\n"c, c.jpg",z\n',
            "line 2: it has 4 values, but the header names 2 columns; a double qu",
        ),
        ("file,label\na.jpg,x\n" * 300 + "b.jpg,\0\n", "not a table in plain text"),
        (b"file,label\na.jpg,\x81\n", "line 2: it has a character that is not UTF-8"),
        (b"\xff\xfefile,label\na.jpeg", "promise UTF-16, but it is not"),
    ],
)
def test_a_broken_table_is_refused_with_the_line(table, tmp_path, content, message):
    with pytest.raises(RetinueError, match=re.escape(message.format(folder=tmp_path))) as raised:
        table(content)
    assert str(raised.value).startswith(f"{tmp_path}/images.csv")


def test_lines_are_counted_as_an_editor_does(table):
    with pytest.raises(RetinueError, match="line 5: 'nonsense' is not a split"):
        table('file,label,split\na.jpg,"two\nlines",train\n\nb.jpg,y,nonsense\n')


def test_a_table_that_can_not_be_read_is_refused(tmp_path):
    with pytest.raises(RetinueError, match="images.csv: this file can't be read"):
        TableText(str(tmp_path / "images.csv"))


def test_a_column_of_a_class_without_files_is_left_out_with_a_warning(table):
    dataset = table("file,p,q,r,unknown\na.jpg,1,0,0,0\nb.jpg,0,1,0,0\nc.jpg,1.0,0,0,0\n")
    assert dataset.classes == ("p", "q") and names(dataset) == ["p", "q", "p"] and not dataset.multi_label
    finding = next(finding for finding in dataset.findings if finding.kind == "class without files")
    assert finding.severity == "warning" and finding.reason == "no file has a 1 in the columns r, unknown"


def test_files_without_a_label_are_not_read_with_a_warning(table):
    dataset = table("file,label\na.jpg,x\nb.jpg,\nc.jpg,y\nd.jpg, \n")
    assert [file[-5:] for file in dataset.files] == ["a.jpg", "c.jpg"] and names(dataset) == ["x", "y"]
    (finding,) = dataset.findings
    assert (finding.severity, finding.reason) == ("warning", "2 lines have no label, the first is line 3")
