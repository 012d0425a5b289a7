"""Batches: the order of records, resuming at any step, and finding the file that cannot be decoded."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.configs.errors import UsageError
from retinue.data.batches import batches, find_failing_records, first_failing_record
from retinue.data.dataset import Ragged
from retinue.data.decoding.decode import decode_image, read_encoded
from retinue.data.record_order import ORDERS, batch_rows, steps_per_epoch
from retinue.data.seeds import example_seed

LABELS = np.array([0, 0, 0, 0, 0, 0, 0, 5, 5, 2])
COLUMNS = {"row": np.arange(10), "label": LABELS}


def row_and_seed(record, seed):
    return record["row"], seed


def stream(columns=COLUMNS, load_example=row_and_seed, **options):
    options = {"batch_size": 4, "training": True, "seed": 3} | options
    return [[part.numpy() for part in batch] for batch in batches(columns, load_example, **options)]


def rows_of(data):
    return [batch[0].tolist() for batch in data]


@pytest.mark.parametrize("order", ORDERS)
def test_batch_rows_computes_every_batch_in_numpy(order):
    options = {"batch_size": 4, "seed": 3, "order": order}
    expected = [batch_rows(10, LABELS, step=step, **options).tolist() for step in range(7)]
    assert rows_of(stream(order=order, steps=7)) == expected


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("first_step", [1, 2, 3])
def test_a_run_resumes_at_any_step_with_the_same_records_and_seeds(order, first_step):
    all_batches = stream(order=order, steps=6)
    rest = stream(order=order, first_step=first_step, steps=6 - first_step)
    assert len(rest) == 6 - first_step
    for expected, batch in zip(all_batches[first_step:], rest, strict=True):
        np.testing.assert_array_equal(batch[0], expected[0])
        np.testing.assert_array_equal(batch[1], expected[1])


def test_every_epoch_is_a_different_permutation():
    rows = rows_of(stream(batch_size=5, steps=6))
    epochs = [rows[first] + rows[first + 1] for first in (0, 2, 4)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert rows != rows_of(stream(batch_size=5, steps=6, seed=4))
    assert rows == rows_of(stream(batch_size=5, steps=6))


def test_every_record_is_equally_likely_to_come_first():
    first = [batch_rows(5, batch_size=1, seed=0, step=5 * epoch)[0] for epoch in range(1000)]
    assert np.bincount(first).min() > 150  # 200 each, less four standard deviations


def test_training_batches_are_full_and_each_epoch_omits_other_records():
    assert steps_per_epoch(10, 4) == 2 and steps_per_epoch(8, 4) == 2 and steps_per_epoch(3, 4) == 1
    data = stream(steps=20)
    assert all(len(batch[0]) == 4 for batch in data)
    seen = [set(sum(rows_of(data[first : first + 2]), [])) for first in range(0, 20, 2)]
    assert all(len(epoch) == 8 for epoch in seen) and set.union(*seen) == set(range(10))


def test_with_fewer_records_than_the_batch_size_a_batch_contains_all():
    data = stream({"row": np.arange(3)}, steps=4)
    assert all(sorted(batch[0]) == [0, 1, 2] for batch in data)
    assert batch_rows(3, batch_size=4, seed=3, step=2).tolist() == data[2][0].tolist()


def test_balanced_draws_each_class_equally_often_and_gives_repeated_records_new_seeds():
    rows = np.concatenate(rows_of(stream(order="balanced", steps=300)))
    counts = {label: np.sum(LABELS[rows] == label) for label in (0, 2, 5)}
    assert all(330 < count < 470 for count in counts.values())  # 400 each, four standard deviations
    assert np.bincount(rows, minlength=10).min() > 20
    data = stream(order="balanced", batch_size=10, steps=1)
    assert len(set(data[0][0])) < 10 and len({tuple(seed) for seed in data[0][1]}) == 10


def test_balanced_needs_one_label_for_each_record():
    with pytest.raises(UsageError, match="one label for each file; set train.class_balance"):
        stream({"row": np.arange(3)}, order="balanced", steps=1)
    with pytest.raises(UsageError, match="one label for each file; set train.class_balance"):
        stream({"row": np.arange(3), "label": np.zeros((3, 2))}, order="balanced", steps=1)


def test_example_seeds_do_not_depend_on_the_batch_size():
    for batch_size in (2, 5, 10):
        data = stream(batch_size=batch_size, steps=20 // batch_size)  # two epochs
        rows, seeds = (np.concatenate(parts) for parts in zip(*data, strict=True))
        for epoch in (0, 1):
            part = slice(10 * epoch, 10 * epoch + 10)
            np.testing.assert_array_equal(seeds[part], example_seed(3, epoch, rows[part]))


def test_evaluation_yields_every_record_once_in_order():
    data = stream(training=False)
    assert rows_of(data) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert rows_of(stream(training=False, first_step=2)) == [[8, 9]]
    assert rows_of(stream(training=False, steps=1)) == [[0, 1, 2, 3]]
    assert stream(training=False, first_step=3) == []


def test_evaluation_can_be_iterated_again():
    data = batches(COLUMNS, row_and_seed, batch_size=4, training=False)
    assert [row.numpy().tolist() for row, _ in data] == [row.numpy().tolist() for row, _ in data]


def test_text_array_and_ragged_columns_become_tensors():
    columns = {
        "file": np.array(["a b.jpg", "grün.png"], dtype=object),
        "labels": np.array([[1.0, 0.0], [1.0, 1.0]], np.float32),
        "boxes": Ragged.from_rows([[[0, 1, 2, 3]], []], np.float32, 4),
    }

    def example(record, _):
        return record["file"], {"labels": record["labels"], "boxes": record["boxes"]}

    padding = ("", {"labels": 0.0, "boxes": -1.0})
    ((files, truths),) = batches(columns, example, batch_size=2, training=False, padding=padding)
    assert [name.decode() for name in files.numpy()] == ["a b.jpg", "grün.png"]
    assert truths["labels"].numpy().tolist() == [[1, 0], [1, 1]]
    assert truths["boxes"].numpy().tolist() == [[[0, 1, 2, 3]], [[-1, -1, -1, -1]]]


def test_mix_gets_the_batch_and_its_seeds_and_changes_nothing_else():
    def example(record, seed):
        return record["row"], record["label"], seed

    def mix(inputs, targets, seeds):
        return inputs[::-1], tf.stack([targets, targets], 1) + 0 * tf.cast(seeds, tf.int64)

    (mixed,) = stream(load_example=example, mix=mix, steps=1)
    (plain_batch,) = stream(load_example=example, steps=1)
    np.testing.assert_array_equal(mixed[0], plain_batch[0][::-1])
    np.testing.assert_array_equal(mixed[1], np.stack([plain_batch[1]] * 2, 1))
    np.testing.assert_array_equal(mixed[2], plain_batch[2])


def test_nothing_before_the_first_step_is_decoded():
    decoded = []

    def example(record, _):
        def record_row(row):
            decoded.append(int(row))
            return row

        return (tf.numpy_function(record_row, [record["row"]], tf.int64),)

    stream(load_example=example, order="sequence", batch_size=2, first_step=3, steps=1)
    assert sorted(decoded) == [6, 7]


def test_batch_shapes_are_known_in_training():
    data = batches(COLUMNS, row_and_seed, batch_size=4, training=True)
    assert [spec.shape for spec in data.element_spec] == [(4,), (4, 2)]


def test_keras_trains_for_full_epochs_on_the_endless_stream():
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = batches(
        COLUMNS, lambda record, seed: (tf.cast(seed, tf.float32) / 2**31, record["label"]), batch_size=4, training=True
    )
    history = model.fit(data, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 3


def test_a_dataset_without_records_is_rejected():
    with pytest.raises(UsageError, match="the dataset has no records"):
        stream({"row": np.arange(0)}, steps=1)


def test_an_unknown_order_is_rejected():
    with pytest.raises(ValueError, match="sorted.*shuffle, sequence, balanced"):
        stream(order="sorted", steps=1)


@pytest.fixture
def files(tmp_path):
    """Columns of six files. Three of them cannot be decoded for different reasons, and some names are not ASCII."""
    names = ["0.png", "ein bild ü.jpg", "2.png", "3.tif", "4.png", "missing.png"]
    for name in ("0.png", "2.png", "4.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / names[1]).write_bytes(b"no image")
    (tmp_path / names[3]).write_bytes(b"II*\x00no image")
    return {"file": np.array([str(tmp_path / name) for name in names], dtype=object)}


def decode(record, _):
    return decode_image(read_encoded(record["file"])), 0


def test_files_that_cannot_be_decoded_are_found_with_their_reasons(files):
    failing = list(find_failing_records(files, decode))
    assert [name for name, _ in failing] == [files["file"][row] for row in (1, 3, 5)]
    reasons = [reason for _, reason in failing]
    assert reasons[0].startswith("Unknown image file format")
    assert reasons[1].startswith("its header is damaged")
    assert reasons[2] == "No such file or directory"
    assert first_failing_record(files, decode, rows=[0, 3, 4]) == f"{files['file'][3]}: {reasons[1]}"
    assert first_failing_record(files, decode, rows=[0, 2, 4]) is None


def test_a_file_that_cannot_be_decoded_stops_the_stream_at_its_batch(files):
    data = iter(batches(files, decode, batch_size=1, training=True, order="sequence"))
    next(data)
    with pytest.raises(tf.errors.OpError):
        next(data)
