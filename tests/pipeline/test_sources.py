import os
import tracemalloc

import pytest

from retinue.configs.errors import UsageError
from retinue.pipeline.sources import find_files, natural, parse_shard


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


def found(tree, *sources, **options):
    return [os.path.relpath(path, tree) for path in find_files([tree / source for source in sources], **options)]


def test_a_folder_gives_its_images_at_any_depth_in_natural_order(tree):
    assert found(tree, ".") == ["a b ü.jpeg", "b/deep/er/x.png", "b/img9.JPG", "b/img10.jpg", "c.heic"]


def test_an_explicit_file_is_taken_whatever_its_name(tree):
    assert found(tree, "b/notes.txt", "b/.hidden.jpg") == ["b/notes.txt", "b/.hidden.jpg"]


def test_patterns(tree):
    assert found(tree, "b/*.jpg") == ["b/img10.jpg"]
    assert found(tree, "b/*") == ["b/deep/er/x.png", "b/img9.JPG", "b/img10.jpg"]
    assert found(tree, "**/*.jpg") == ["b/img10.jpg"]
    assert found(tree, "**/?mg*") == ["b/img9.JPG", "b/img10.jpg"]
    assert found(tree, "**") == ["a b ü.jpeg", "c.heic", "b/img9.JPG", "b/img10.jpg", "b/deep/er/x.png"]
    assert found(tree, "b/img[19].JPG") == ["b/img9.JPG"]


def test_a_pattern_from_the_current_folder_gives_relative_paths(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert list(find_files(["b/img*"])) == ["b/img9.JPG", "b/img10.jpg"]
    assert list(find_files(["**/*.png"])) == ["b/deep/er/x.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tree):
    (tree / "odd[1].jpg").write_bytes(b"x")
    assert found(tree, "odd[1].jpg") == ["odd[1].jpg"]


def test_a_list_mixed_with_others(tree):
    (tree / "list.txt").write_text(f"# mine\n{tree}/b/notes.txt\r\n\n{tree}/gone.jpg\n", encoding="utf-8")
    sources = [f"@{tree}/list.txt", str(tree / "c.heic")]
    assert list(find_files(sources)) == [f"{tree}/b/notes.txt", f"{tree}/gone.jpg", f"{tree}/c.heic"]


def test_links_in_a_circle_end(tree):
    (tree / "b" / "deep" / "round").symlink_to(tree / "b")
    assert found(tree, "b") == ["b/deep/er/x.png", "b/img9.JPG", "b/img10.jpg"]


def test_the_results_folder_is_not_looked_into(tree):
    assert "b/img10.jpg" not in found(tree, ".", skip=tree / "b")
    assert "b/img10.jpg" not in found(tree, "**/*.jpg", "c.heic", skip=tree / "b")


def test_paths_are_not_held(tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"/photos/a/long/enough/path/{number}.jpg\n" for number in range(50_000)))
    tracemalloc.start()
    count = sum(1 for _ in find_files([f"@{listed}"], shard=(1, 2)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 24_000 < count < 26_000
    assert peak < 500_000  # the list alone is 2 MB


@pytest.mark.parametrize("source, words", [("gone.jpg", "no such file"), ("@gone.txt", "no list gone.txt")])
def test_a_missing_source_is_refused_at_once(source, words):
    with pytest.raises(UsageError, match=words):
        find_files([source])


def test_nothing_found_is_an_error_and_one_empty_source_a_line(tree):
    (tree / "empty").mkdir()
    with pytest.raises(UsageError, match="empty.*no images found"):
        found(tree, "empty", "b/*.bmp")
    said = []
    assert found(tree, "empty", "c.heic", say=said.append) == ["c.heic"]
    assert said == [f"{tree}/empty: no images found"]


def test_shards_are_disjoint_complete_and_stable(tmp_path):
    names = [f"/photos/{number}.jpg" for number in range(200)]
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


def test_natural_order():
    assert sorted(["x10", "x9", "x010", "y1", "x"], key=natural) == ["x", "x9", "x10", "x010", "y1"]
