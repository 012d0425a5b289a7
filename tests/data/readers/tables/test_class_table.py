"""The names of numbered labels: which files give them, and that they must fit the labels."""

import pytest

from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image

NAMES = ("blight (CBB)", "healthy", "mosaic, green")


@pytest.fixture
def dataset(tmp_path):
    """Return a function that reads a table of labels beside a file of class names."""

    def read_beside(labels, name, text):
        for number in range(len(labels)):
            save_image(tmp_path / f"{number}.jpg")
        lines = [f"{number}.jpg,{label}\n" for number, label in enumerate(labels)]
        (tmp_path / "train.csv").write_text("image_id,label\n" + "".join(lines))
        (tmp_path / name).write_text(text)
        return read(tmp_path / "train.csv")

    return read_beside


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_num_to_disease_map.json", '{"0": "blight (CBB)", "1": "healthy", "2": "mosaic, green"}'),
        ("class_to_idx.json", '{"mosaic, green": 2, "blight (CBB)": 0, "healthy": 1}'),
        ("class_index.json", '{"0": ["n1", "blight (CBB)"], "1": ["n2", "healthy"], "2": ["n3", "mosaic, green"]}'),
        ("categories.json", '[{"id": 0, "name": "blight (CBB)"}, {"id": 1, "name": "healthy"}, '
                            '{"id": 2, "name": "mosaic, green"}]'),
        ("classes.json", '["blight (CBB)", "healthy", "mosaic, green"]'),
        ("signnames.csv", 'ClassId,SignName\n0,blight (CBB)\n1,healthy\n2,"mosaic, green"\n'),
        ("names.csv", 'blight (CBB)\nhealthy\n"mosaic, green"\n'),
        ("classes.txt", "0 blight (CBB)\n1 healthy\n2 mosaic, green\n"),
        ("label_map.txt", "blight (CBB): 0\nhealthy: 1\nmosaic, green: 2\n"),
        ("class_names.txt", "blight (CBB)\nhealthy\nmosaic, green\n"),
    ],
)  # fmt: skip
def test_numbered_labels_are_named_by_a_file_beside_the_table(dataset, name, text):
    found = dataset(["1", "0", "2", "1"], name, text)
    assert found.classes == NAMES and found.class_ids == (0, 1, 2)
    assert list(found.columns["label"]) == [1, 0, 2, 1]
    (finding,) = [finding for finding in found.findings if finding.kind == "class names"]
    assert finding.file.endswith(name)


def test_names_in_lines_may_count_from_1(dataset):
    found = dataset(["1", "3", "2"], "names.csv", "Acura\nAudi\nBMW X5\n")
    assert found.classes == ("Acura", "Audi", "BMW X5") and list(found.columns["label"]) == [0, 2, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "cat\ndog\n"),
        ("classes.txt", "cat\ndog\nbird\nfish\n"),
        ("label_map.json", '{"0": "cat", "1": "dog"}'),
        ("classes.csv", "cat,5\ndog,6\nbird,7\n"),
    ],
)
def test_names_that_do_not_fit_the_labels_are_only_noted(dataset, name, text):
    found = dataset(["0", "1", "2"], name, text)
    assert found.classes == ("0", "1", "2")
    (finding,) = [finding for finding in found.findings if finding.kind == "class names not used"]
    assert finding.severity == "note" and finding.file.endswith(name)


def test_numbers_are_no_names(dataset):
    assert dataset(["1", "2", "1"], "image_class_labels.txt", "1 4\n2 5\n3 6\n").classes == ("1", "2")
