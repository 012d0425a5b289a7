"""Tests of the files that `find_files` finds, of shards, and of sets of paths."""

import os
import tracemalloc

import pytest

from retinue.configs.errors import UsageError
from retinue.pipeline.inputs.sources import PathSet, find_files, parse_shard, path_hash


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b/img10.jpg",
        "b/img9.JPG",
        "b/deep/er/x.png",
        "b/notes.txt",
        "b/.hidden.jpg",
        "b/.git/y.jpg",
        "a b ü.jpeg",
        "c.heic",
        "Thumbs.db",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def find(tree, *sources, **options):
    return [os.path.relpath(path, tree) for path in find_files([tree / source for source in sources], **options)]


def test_a_folder_has_its_images_at_any_depth_in_natural_order(tree):
    assert find(tree, ".") == ["a b ü.jpeg", "b/deep/er/x.png", "b/img9.JPG", "b/img10.jpg", "c.heic"]


def test_an_explicit_file_is_taken_whatever_its_name(tree):
    assert find(tree, "b/notes.txt", "b/.hidden.jpg") == ["b/notes.txt", "b/.hidden.jpg"]


def test_patterns(tree):
    assert find(tree, "b/*.jpg") == ["b/img10.jpg"]
    assert find(tree, "b/*") == ["b/deep/er/x.png", "b/img9.JPG", "b/img10.jpg"]
    assert find(tree, "**/*.jpg") == ["b/img10.jpg"]
    assert find(tree, "**/?mg*") == ["b/img9.JPG", "b/img10.jpg"]
    assert find(tree, "**") == ["a b ü.jpeg", "c.heic", "b/img9.JPG", "b/img10.jpg", "b/deep/er/x.png"]
    assert find(tree, "b/img[19].JPG") == ["b/img9.JPG"]


def test_a_pattern_relative_to_the_working_directory_finds_relative_paths(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert list(find_files(["b/img*"])) == ["b/img9.JPG", "b/img10.jpg"]
    assert list(find_files(["**/*.png"])) == ["b/deep/er/x.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tree):
    (tree / "odd[1].jpg").write_bytes(b"x")
    assert find(tree, "odd[1].jpg") == ["odd[1].jpg"]


def test_a_list_and_other_sources(tree):
    (tree / "list.txt").write_text(f"# mine\n{tree}/b/notes.txt\r\n\n{tree}/gone.jpg\n", encoding="utf-8")
    sources = [f"@{tree}/list.txt", str(tree / "c.heic")]
    assert list(find_files(sources)) == [f"{tree}/b/notes.txt", f"{tree}/gone.jpg", f"{tree}/c.heic"]


def find_in_list(tree, content):
    (tree / "list.txt").write_bytes(content)
    return list(find_files([f"@{tree / 'list.txt'}"]))


def test_a_list_from_windows(tree, monkeypatch):
    monkeypatch.chdir(tree)
    content = "b\\img10.jpg\r\n  c.heic \t\r\nno\\where.jpg\r\n"
    expected = ["b/img10.jpg", "c.heic", "no\\where.jpg"]
    assert find_in_list(tree, b"\xef\xbb\xbf" + content.encode()) == expected
    assert find_in_list(tree, content.encode("utf-16")) == expected


def test_unusual_names_in_a_list_are_taken_as_written(tree, monkeypatch):
    monkeypatch.chdir(tree)
    for name in ("x.jpg ", "a\\b.jpg", "y[1].jpg"):
        (tree / name).write_bytes(b"x")
    assert find_in_list(tree, b"x.jpg \na\\b.jpg\ny[1].jpg\n") == ["x.jpg ", "a\\b.jpg", "y[1].jpg"]


def test_folders_and_patterns_in_a_list(tree, monkeypatch):
    monkeypatch.chdir(tree)
    (tree / "empty").mkdir()
    expected = ["b/deep/er/x.png", "b/img10.jpg", "gone/*.jpg", "gone[1].jpg"]
    assert find_in_list(tree, b"b/deep\nempty\nb/*.jpg\ngone/*.jpg\ngone[1].jpg\n") == expected


def test_a_pipe_as_a_list(tree):
    reading, writing = os.pipe()
    os.write(writing, f"{tree}/c.heic\n".encode())
    os.close(writing)
    try:
        assert list(find_files([f"@/dev/fd/{reading}"])) == [f"{tree}/c.heic"]
    finally:
        os.close(reading)


def test_a_file_is_found_once_however_it_is_named(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert list(find_files(["./b", "b", "b/*.jpg", "b/../b//img10.jpg"])) == [
        "b/deep/er/x.png",
        "b/img9.JPG",
        "b/img10.jpg",
    ]
    assert find_in_list(tree, b"c.heic\n./c.heic\nc.heic\n") == ["c.heic"]
    monkeypatch.chdir(tree / "b")
    assert list(find_files(["../c.heic", "./../c.heic"])) == ["../c.heic"]


def test_a_link_before_two_dots_is_kept(tree, monkeypatch):
    (tree / "link").symlink_to(tree / "b" / "deep")
    monkeypatch.chdir(tree)
    assert list(find_files(["link/../img10.jpg"])) == ["link/../img10.jpg"]  # b/img10.jpg; there is no ./img10.jpg


def test_a_folder_with_brackets_in_its_name(tree):
    for name in ("br[1]", "br1"):
        (tree / name).mkdir()
        (tree / name / "x.jpg").write_bytes(b"x")
    assert find(tree, "br[1]/*.jpg") == ["br[1]/x.jpg"]
    assert find(tree, "br[12]/*.jpg") == ["br1/x.jpg"]


def test_a_set_of_paths_that_packs_its_hashes():
    paths = PathSet([path_hash("first")])
    for number in range(10_000):
        paths.add(f"{number}.jpg")
    assert "first" in paths and all(f"{number}.jpg" in paths for number in range(10_000))
    assert not any(f"{number}.png" in paths for number in range(1000))


def test_links_in_a_cycle_end(tree):
    (tree / "b" / "deep" / "round").symlink_to(tree / "b")
    assert find(tree, "b") == ["b/deep/er/x.png", "b/img9.JPG", "b/img10.jpg"]


def test_the_excluded_folder_is_not_searched(tree):
    assert "b/img10.jpg" not in find(tree, ".", exclude=tree / "b")
    assert "b/img10.jpg" not in find(tree, "**/*.jpg", "c.heic", exclude=tree / "b")


def test_paths_are_not_held_in_memory(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"/image_folder/{'a/long/path/' * 10}{number}.jpg\n" for number in range(50_000)))
    tracemalloc.start()
    count = sum(1 for _ in find_files([f"@{listed}"], shard=(1, 2)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 24_000 < count < 26_000
    assert peak < 1_500_000  # the list alone is 7 MB


@pytest.mark.parametrize(
    "source, words", [("gone.jpg", "no such file"), ("@gone.txt", "no list gone.txt"), ("@/tmp", "no list /tmp")]
)
def test_a_missing_source_is_refused_at_once(source, words):
    with pytest.raises(UsageError, match=words):
        find_files([source])


def test_no_files_are_an_error_and_one_empty_source_is_a_warning(tree, logged):
    (tree / "empty").mkdir()
    with pytest.raises(UsageError, match="empty.*no images found"):
        find(tree, "empty", "b/*.bmp")
    logged.clear()
    assert find(tree, "empty", "c.heic") == ["c.heic"]
    assert logged.messages == [f"{tree}/empty: no images found"]


def test_shards_are_disjoint_complete_and_stable(tmp_path):
    names = [f"/image_folder/{number}.jpg" for number in range(200)]
    listed = tmp_path / "list.txt"

    def shard(names, text):
        listed.write_text("\n".join(names))
        return list(find_files([f"@{listed}"], shard=parse_shard(text)))

    shards = [shard(names, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(sum(shards, [])) == sorted(names)
    assert all(40 < len(part) < 95 for part in shards)
    assert shard(names[:100], "2/3") == [name for name in shards[1] if name in names[:100]]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_a_wrong_shard_is_refused(text):
    with pytest.raises(UsageError, match="I/N"):
        parse_shard(text)
