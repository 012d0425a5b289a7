"""label_map.pbtxt."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.tfrecords.label_map import is_label_map, read_label_map


def test_items_are_read_however_they_are_written(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    path.write_text(
        "# a comment with item {\n"
        'item {\n  name: "/m/01g317"\n  id: 7\n  display_name: \'person\'\n  keypoints { id: 3 label: "NOSE" }\n}\n'
        "item: { id: 1, name: 'hot dog' } item{name:\"Sofa #2\" id:2}\n"
    )
    names = read_label_map(str(path))
    assert names == {1: ("hot dog",), 2: ("Sofa #2",), 7: ("person", "/m/01g317")} and list(names) == [1, 2, 7]
    assert is_label_map(str(path))
    (tmp_path / "graph.pbtxt").write_text('node {\n  name: "item"\n}\n')
    assert not is_label_map(str(tmp_path / "graph.pbtxt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item { name: 'a' }", "item 1 has no id"),
        ("item { id: 1 name: 'a' }\nitem { id: 1 name: 'b' }", "two items have the id 1"),
        ("item { id: 1 }", "item 1 has no name"),
    ],
)
def test_broken_label_maps_are_named(tmp_path, text, message):
    path = tmp_path / "label_map.pbtxt"
    path.write_text(text)
    with pytest.raises(RetinueError, match=message):
        read_label_map(str(path))
