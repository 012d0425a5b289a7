"""Several labels in one cell, or one label with blanks: what the labels of a table decide, and what is refused."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table with these labels and reads it with some columns named."""

    def read_labels(cells, header="labels", columns=None):
        lines = [f"image,{header}\n"]
        for number, cell in enumerate(cells):
            save_image(tmp_path / f"{number}.jpg")
            lines.append(f'{number}.jpg,"{cell}"\n')
        (tmp_path / "train.csv").write_text("".join(lines))
        return read(tmp_path / "train.csv", columns=columns)

    return read_labels


@pytest.mark.parametrize(
    ("cells", "header", "classes"),
    [
        (["scab", "rust", "scab rust", "healthy"], "labels", ("healthy", "rust", "scab")),
        (["healthy", "scab", "scab frog_eye"], "labels", ("frog_eye", "healthy", "scab")),
        (["haze primary", "clear primary water", "cloudy"], "tags", ("clear", "cloudy", "haze", "primary", "water")),
        (["16 0", "7 1 2 0", "5"], "label", ("0", "1", "16", "2", "5", "7")),
        (["a b", "b a", "c"], "label", ("a", "b", "c")),
        (["cat, big dog", "cat", "big dog"], "label", ("big dog", "cat")),
        (["a b", "a c", "b c", "a b c", "a d", "b d", "c d", "a b d"], "label", ("a", "b", "c", "d")),
    ],
)
def test_parts_that_are_labels_of_their_own_are_several_labels(table, cells, header, classes):
    dataset = table(cells, header)
    assert dataset.multi_label and dataset.classes == classes
    assert "joined labels" in [finding.kind for finding in dataset.findings]


@pytest.mark.parametrize(
    "cells",
    [
        ["golden retriever", "labrador retriever", "siamese cat"],
        ["Acura RL Sedan 2012", "Acura TL Sedan 2012", "Audi A5 Coupe 2012", "BMW M3 Coupe 2012"],
        ["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark"],
        ["fried rice", "rice", "chicken wings", "apple pie"],
    ],
)
def test_names_with_blanks_are_one_label(table, cells):
    dataset = table(cells)
    assert not dataset.multi_label and dataset.classes == tuple(sorted(cells))


def test_what_could_be_both_is_refused_with_the_command_for_each(table):
    cells = ["Tomato healthy", "Tomato Late blight", "Potato healthy", "Potato Late blight"]
    with pytest.raises(RetinueError, match=r"--columns label=labels for one, or --columns labels=labels for several"):
        table(cells)
    assert table(cells, columns={"label": "labels"}).classes == tuple(sorted(cells))
    several = table(cells, columns={"labels": "labels"})
    assert several.multi_label and several.classes == ("Late", "Potato", "Tomato", "blight", "healthy")


def test_run_lengths_are_no_labels(table):
    with pytest.raises(RetinueError, match="numbers that are no labels, such as 100 20 200 20"):
        table(["100 20 200 20", "5 3"])
