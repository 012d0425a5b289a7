"""Packed input against loose files: samples a second, in one run.

    python benchmarks/packed_input.py [--runs 5] [--photos 480] [--small 2560]

Two data sets in class folders: photos (500x375 JPEG) and small pictures (32x32 PNG), each loose, packed by `retinue
pack`, and with all encoded files in a dictionary in memory, which is what a cache of our own would be at best. Rows:
  read          the encoded files, in the order of an epoch, no decoding
  input         the whole input of training: read, decode, crop, change, batch
  fast net      a training step of a net of one layer on that input: the input is what it waits for
"cold" are runs before which the system was told to forget the files (posix_fadvise), so that they come from the disk;
"warm" ones come from its page cache. All kinds take turns, `runs` times; the median is given, with the slowest and the
fastest. Writes benchmarks/results/packed_input.csv.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf
from predict import make_photos

from retinue import tasks
from retinue.configs.load import load_config
from retinue.data import batches, packed
from retinue.data.decoding import decode
from retinue.data.readers.read import read
from retinue.pipeline.pack import pack
from retinue.pipeline.runs.run import to_csv
from retinue.tasks.model import TaskModel

RESULTS = Path(__file__).parent / "results" / "packed_input.csv"
KINDS = ("loose", "packed", "in memory")
BATCH = 32


def make_classes(folder, count, width, height, suffix):
    """`count` pictures, half of them in each of two class folders; files of their own, no links."""
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
    made = folder / "made"
    if suffix == ".jpg":
        make_photos(made, count, width, height)
        for number, path in enumerate(sorted(made.iterdir())):
            path.rename(folder / "ab"[number % 2] / path.name)
        made.rmdir()
        return
    import cv2

    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        cv2.imwrite(str(folder / "ab"[number % 2] / f"{number}{suffix}"), pixels)


def forget(files):
    """Tell the system to drop files from its page cache."""
    for name in files:
        opened = os.open(name, os.O_RDONLY)
        os.fsync(opened)
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(opened)


def in_memory(files):
    """A stand-in for `decode.read_encoded` that looks names up in a dictionary."""
    held = {os.fsencode(name): packed.read_bytes(name) for name in files}

    def read_encoded(path):
        encoded = tf.numpy_function(held.__getitem__, (path,), tf.string)
        encoded.set_shape([])
        return encoded

    return read_encoded


def fast_net(size):
    image = keras.Input((size, size, 3), name="image")
    x = keras.layers.AveragePooling2D(16)(keras.layers.Rescaling(1 / 255)(image))
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(x))

    def loss(targets, outputs):
        return {"loss": keras.losses.categorical_crossentropy(targets, outputs, from_logits=True)}

    model = TaskModel(image, logits, loss, ("loss",), ["image"])
    model.compile(keras.optimizers.SGD(0.01))
    return model


def rate(data, steps, count, model=None):
    """Samples a second over `steps` batches of `data` after the first. Returns (rate, share of waiting or None)."""
    if model is None:
        stream = iter(data)
        next(stream)
        began = time.perf_counter()
        for _ in range(steps - 1):
            next(stream)
        return (steps - 1) * count / (time.perf_counter() - began), None
    waited, began = model.seconds_waiting, time.perf_counter()
    model.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    seconds = time.perf_counter() - began
    return steps * count / seconds, (model.seconds_waiting - waited) / seconds


def measure(name, loose, size, runs):
    """Rows of the table for one data set, a folder of loose files."""
    out = loose.parent / f"{name}-packed"
    config = load_config(settings=["task=classification", f"model.input_size={size}"])
    began = time.perf_counter()
    pack(str(loose), config, str(out), say=lambda line: None)
    print(f"{name}: packed in {time.perf_counter() - began:.1f} s")
    data = {"loose": read(str(loose)), "packed": read(str(out))}
    data["in memory"] = data["loose"]
    stored = {"loose": list(data["loose"].files), "packed": [str(path) for path in out.iterdir()]}
    readers = {"in memory": in_memory(data["loose"].files)}
    original, model = decode.read_encoded, fast_net(size)
    steps, found = len(data["loose"]) // BATCH, {}
    print(f"{name}: {sum(map(os.path.getsize, stored['loose'])) / len(stored['loose']):,.0f} bytes a file")

    def stream(kind, what, turn):
        decode.read_encoded = readers.get(kind, original)
        task = tasks.create(config, data[kind].classes)
        columns = task.columns(data[kind])
        example = task.example(True)
        if what == "read":
            example = lambda record, seed: (decode.read_encoded(record["file"]),)  # noqa: E731
        return batches.batches(columns, example, batch_size=BATCH, training=True, seed=turn)

    for turn in range(runs + 1):  # the first is for warming up
        for what in ("read", "input", "fast net"):
            for state in ("warm", "cold"):
                for kind in KINDS if state == "warm" else KINDS[:2]:
                    made = stream(kind, what, turn)
                    if state == "cold":
                        forget(stored[kind])
                    result = rate(made, steps, BATCH, model if what == "fast net" else None)
                    if turn:
                        found.setdefault((what, state, kind), []).append(result)
    decode.read_encoded = original
    for (what, state, kind), results in found.items():
        rates = [result[0] for result in results]
        waits = [result[1] for result in results if result[1] is not None]
        yield {
            "data": name,
            "what": what,
            "state": state,
            "files": kind,
            "samples_per_second": round(statistics.median(rates)),
            "slowest": round(min(rates)),
            "fastest": round(max(rates)),
            "waiting": round(statistics.median(waits), 3) if waits else None,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--photos", type=int, default=480)
    parser.add_argument("--small", type=int, default=2560)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        scratch = Path(scratch).resolve()
        make_classes(scratch / "photos", options.photos, 500, 375, ".jpg")
        rows += measure("photos", scratch / "photos", 224, options.runs)
        print(to_csv(rows))
        make_classes(scratch / "small", options.small, 32, 32, ".png")
        rows += measure("small", scratch / "small", 32, options.runs)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))


if __name__ == "__main__":
    main()
