"""Text files in the encodings that tools write."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.text_file import first_lines, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_utf_16_are_read(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("é\n\n b \n".encode(encoding))
    assert read_text(str(path)) == "é\n\n b \n"
    assert first_lines(str(path)) == ["é", "b"]


def test_another_encoding_is_refused_with_line_and_column(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("names:\n- caf\xe9\n".encode("cp1252"))
    with pytest.raises(RetinueError, match=r"a.txt line 2, column 6: there is a character that is not UTF-8; save"):
        read_text(str(path))


def test_the_first_lines_do_not_hold_a_line_that_is_cut_off(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\nthree\n")
    assert first_lines(str(path), 9) == ["one", "two"]
    assert first_lines(str(path), 2) == ["on"]
    path.write_bytes("aé".encode() * 10)
    assert first_lines(str(path), 5) == ["aéa"]  # the bytes end within a letter


def test_files_that_are_no_text_have_no_lines(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    assert first_lines(str(tmp_path / "a.txt")) == []
    assert first_lines(str(tmp_path / "gone.txt")) == []
