import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.tasks.class_tables import confusion_rows, model_class_indices, quoted_names, worst_class_lines


def dataset(labels, classes):
    files = [f"{index}.png" for index in range(len(labels))]
    return Dataset("classification", files, classes, {"label": np.array(labels, np.int64)}, source="here.csv")


def test_classes_of_a_dataset_are_mapped_to_the_model_by_name():
    assert model_class_indices(dataset([0, 1], ("dog", "cat")), ("ant", "cat", "dog")).tolist() == [2, 1]


def test_a_class_that_the_model_does_not_know_is_an_error_unless_it_is_unused():
    with pytest.raises(RetinueError, match="here.csv: the model does not know the class “emu”; it knows “ant”, “cat”"):
        model_class_indices(dataset([0, 0], ("cat", "emu")), ("ant", "cat"))
    unused = model_class_indices(dataset([0, 0], ("cat", "emu")), ("ant", "cat"), ignore_unused=True)
    assert unused.tolist() == [1, -1]
    with pytest.raises(RetinueError, match="“emu”"):
        model_class_indices(dataset([0, 1], ("cat", "emu")), ("ant", "cat"), ignore_unused=True)


def test_long_lists_of_names_are_cut_and_counted():
    assert quoted_names(["a", "b"]) == "“a”, “b”"
    assert quoted_names(list("abcdefg")) == "“a”, “b”, “c”, “d”, “e” and 2 more"


def test_the_three_worst_classes_come_first_and_undefined_ones_not_at_all():
    rows = [
        {"class": name, "f1": f1, "recall": f1, "precision": None}
        for name, f1 in zip("abcde", (0.5, None, 0.1, 0.9, 0.7), strict=True)
    ]
    assert worst_class_lines(rows, "f1", "F1") == [
        "  c  F1 0.10, recall 10%, precision -",
        "  a  F1 0.50, recall 50%, precision -",
        "  e  F1 0.70, recall 70%, precision -",
    ]


def test_rows_of_a_confusion_matrix_begin_with_the_true_class():
    assert confusion_rows(("a", "b"), np.array([[3, 1], [0, 2]])) == [
        {"truth/predicted": "a", "a": 3, "b": 1},
        {"truth/predicted": "b", "a": 0, "b": 2},
    ]
