"""One XML file of Pascal VOC: what it is, its encoding, and objects that are no boxes."""

import pytest

from retinue.data.readers.voc.file import is_voc_file, parse_voc_file

OBJECT = "<object><name>{}</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"


def save(folder, text, encoding="utf-8"):
    path = folder / "a.xml"
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<annotation><size/></annotation>", True),
        ('<?xml version="1.0"?>\n<!-- <other> -->\n<annotation verified="yes">', True),
        ("<Annotation>", True),
        ("<annotations><version>1.1</version></annotations>", False),  # CVAT's
        ("<View><Label/></View>", False),
        ("no xml <", False),
        ("", False),
    ],
)
def test_the_root_tells_what_a_file_is(tmp_path, text, expected):
    assert is_voc_file(save(tmp_path, text)) == expected
    assert is_voc_file(save(tmp_path, text, "utf-16")) == expected
    assert not is_voc_file(str(tmp_path / "gone.xml"))


@pytest.mark.parametrize(
    ("name", "declared", "encoding", "guessed"),
    [
        ("猫", "utf-8", "utf-8", False),
        ("猫", "gbk", "gbk", False),
        ("猫", "GB2312", "gb2312", False),
        ("ねこ", "shift_jis", "shift_jis", False),
        ("猫", "utf-16", "utf-16", False),
        ("猫", "", "utf-8", False),
        ("狗", "", "gbk", True),
        ("猫咪", "utf-8", "gbk", True),
        ("pâté", "", "cp1252", True),
        ("pâté", "iso-8859-1", "latin-1", False),
    ],
)
def test_names_of_classes_in_any_encoding_are_read(tmp_path, name, declared, encoding, guessed):
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    parsed = parse_voc_file(save(tmp_path, f"{head}<annotation>{OBJECT.format(name)}</annotation>", encoding), "a.xml")
    assert parsed.objects == [(name, (10, 20, 30, 40), False, 1)] and parsed.problem == ""
    assert [finding.kind for finding in parsed.findings] == ["odd encoding"] * guessed


def test_namespaces_are_passed_over(tmp_path):
    text = (
        f'<annotation xmlns="http://example.org"><filename>C:\\x\\1.png</filename>{OBJECT.format("cat")}</annotation>'
    )
    parsed = parse_voc_file(save(tmp_path, text), "a.xml")
    assert len(parsed.objects) == 1 and parsed.image_name == "1.png"


@pytest.mark.parametrize(
    ("text", "problem", "is_other"),
    [
        ("<annotation>", "can't be read", False),
        ("<annotation>\udcff</annotation>".encode("utf-8", "surrogateescape").decode("latin-1"), "", False),
        ("<annotations/>", "its outermost element is annotations", True),
        ("", "can't be read", False),
    ],
)
def test_broken_and_other_files_are_named(tmp_path, text, problem, is_other):
    parsed = parse_voc_file(save(tmp_path, text), "a.xml")
    assert problem in parsed.problem and bool(parsed.problem) == bool(problem) and parsed.is_other == is_other


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>5</xmax><ymax>9</ymax></bndbox>", "a single click (xmin = xmax)"),
        ("<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>6</ymax></bndbox>", "a single click (ymin = ymax)"),
        ("<polygon><x1>1</x1></polygon>", "it has a polygon, but no bndbox"),
        ("<robndbox><cx>1</cx></robndbox>", "it has a robndbox, but no bndbox"),
        ("", "it has no bndbox"),
        ("<bndbox><xmin>1,5</xmin></bndbox>", "its bndbox lacks a number"),
    ],
)
def test_an_object_that_is_no_box_is_named(tmp_path, box, reason):
    parsed = parse_voc_file(
        save(tmp_path, f"<annotation><object><name>cat</name>{box}</object></annotation>"), "x/a.xml"
    )
    (finding,) = parsed.findings
    assert finding.item == "object 1 of x/a.xml" and reason in finding.reason and finding.severity == "invalid"
    assert parsed.objects == []
