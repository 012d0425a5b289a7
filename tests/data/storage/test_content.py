"""Content ids depend on the bytes of a file and on nothing else."""

import hashlib
import os
import shutil

from retinue.data.storage.content import content_id, content_ids


def test_the_content_id_is_the_beginning_of_the_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # SHA-256 of "abc", FIPS 180-2, appendix B.1
    assert content_ids([str(tmp_path / "a")]) == ["ba7816bf8f01cfea"] == [content_id(b"abc")]


def test_the_content_id_depends_on_the_bytes_and_not_on_the_name(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    (tmp_path / "b").write_bytes(b"1235")
    shutil.copy(tmp_path / "a", tmp_path / "c")
    first, other, copy = content_ids([str(tmp_path / name) for name in "abc"])
    assert first == copy != other


def test_a_file_that_cannot_be_read_has_no_content_id(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    names = [str(tmp_path / name) for name in ("missing", "pipe", ".", "empty")]
    assert content_ids(names) == ["", "", "", hashlib.sha256(b"").hexdigest()[:16]]
    assert content_ids([]) == []
