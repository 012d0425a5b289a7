"""Measure the speed of image augmentation: retinue's stateless operations and Keras's layers, in one run.

    python benchmarks/augmentation.py [--cores 2] [--runs 5] [--seconds 2]

Every row is a tf.data pipeline over decoded images in memory that ends in batches of 32 images of 256 px. "image"
rows start from 500x375 px, crop and resize (Keras has no random resized crop: it resizes and zooms); the others start
from 256 px. Keras's layers run both an image and a batch at a time. All rows are gone through `runs` times; the median
rate is given, with the slowest and the fastest. Writes benchmarks/results/augmentation.csv.
"""

import argparse
import csv
import io
import os
import statistics
import time
import types
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

SIZE, BATCH = 256, 32
RESULTS = Path(__file__).parent / "results" / "augmentation.csv"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2, help="processor cores to use")
    parser.add_argument("--runs", type=int, default=5, help="times that every row is measured")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a measurement")
    return parser.parse_args()


def image_files(height, width, count=32):
    """Smooth images with some noise, uint8 `[count, height, width, 3]`."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, height // 25, width // 25, 3), np.uint8)
    smooth = np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in coarse])
    return np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def our_rows(tf):
    """(name, "retinue", "image" or "batch", starts from a image, function of image(s) and number(s))."""
    from retinue.data.augmentation.geometry import augment_image
    from retinue.data.augmentation.mixup_cutmix import mix
    from retinue.data.seeds import example_seed

    off = dict(
        horizontal_flip=False, vertical_flip=False, random_rot90=False, crop_scale=(1.0, 1.0), crop_aspect=(1.0, 1.0),
        brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, randaugment_num_ops=0, randaugment_magnitude=9,
    )  # fmt: skip
    crop = {"crop_scale": (0.6, 1.0), "crop_aspect": (0.75, 1.333)}
    flip = {"horizontal_flip": True}
    jitter = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}

    def images(**changes):
        augment = types.SimpleNamespace(**off | changes)
        return lambda image, number: augment_image(image, augment, SIZE, "stretch", example_seed(0, 0, number))

    def mixed(**alphas):
        targets = tf.one_hot(tf.range(BATCH) % 10, 10)
        return lambda images, numbers: mix(images, targets, example_seed(0, 0, numbers), **alphas)[0]

    return [
        ("image_file: crop + flip + jitter (the default)", "retinue", "image", True, images(**crop, **flip, **jitter)),
        ("image_file: crop + flip", "retinue", "image", True, images(**crop, **flip)),
        ("image_file: default + RandAugment 2, 9", "retinue", "image", True,
         images(**crop, **flip, **jitter, randaugment_num_ops=2)),
        ("flip", "retinue", "image", False, images(**flip)),
        ("flip + jitter", "retinue", "image", False, images(**flip, **jitter)),
        ("flip + jitter with hue", "retinue", "image", False, images(**flip, **jitter, hue=0.05)),
        ("RandAugment 2, 9", "retinue", "image", False, images(randaugment_num_ops=2)),
        ("mixup", "retinue", "batch", False, mixed(mixup=0.2)),
        ("cutmix", "retinue", "batch", False, mixed(cutmix=1.0)),
    ]  # fmt: skip


def keras_rows(tf, keras):
    """The same from Keras's preprocessing layers."""
    layers, limits = keras.layers, (0, 255)

    def run(*stack):
        def apply(images, _):
            images = tf.cast(images, tf.float32)
            for layer in stack:
                images = layer(images, training=True)
            return images

        return apply

    def mixed(layer):
        targets = tf.one_hot(tf.range(BATCH) % 10, 10)

        def apply(images, _):
            return layer({"images": tf.cast(images, tf.float32), "labels": targets}, training=True)["images"]

        return apply

    def jitter(hue=0.0):
        return layers.RandomColorJitter(limits, 0.2, 0.2, 0.2, hue)

    rows = [
        ("image_file: crop + flip + jitter (the default)", True,
         lambda: run(layers.Resizing(SIZE, SIZE), layers.RandomZoom(0.2), layers.RandomFlip("horizontal"), jitter())),
        ("flip", False, lambda: run(layers.RandomFlip("horizontal"))),
        ("flip + jitter", False, lambda: run(layers.RandomFlip("horizontal"), jitter())),
        ("flip + jitter with hue", False, lambda: run(layers.RandomFlip("horizontal"), jitter(0.05))),
        ("RandAugment 2, 9", False, lambda: run(layers.RandAugment(limits, num_ops=2, factor=0.9))),
    ]  # fmt: skip
    each = [(name, "keras", by, image_file, make()) for name, image_file, make in rows for by in ("image", "batch")]
    return each + [
        ("mixup", "keras", "batch", False, mixed(layers.MixUp(0.2))),
        ("cutmix", "keras", "batch", False, mixed(layers.CutMix(1.0))),
    ]


def rate(tf, sample_images, row, cores, seconds):
    """Images a second through one row's pipeline, its first two batches left out."""
    _, _, by, _, function = row
    data = tf.data.Dataset.from_tensor_slices(sample_images).repeat()
    data = tf.data.Dataset.zip((data, tf.data.Dataset.range(1 << 40)))
    if by == "image":
        data = data.map(function, num_parallel_calls=cores).batch(BATCH, drop_remainder=True)
    else:
        data = data.batch(BATCH, drop_remainder=True).map(function, num_parallel_calls=cores)
    iterator = iter(data.prefetch(2))
    for _ in range(2):
        next(iterator)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(iterator)
        done += BATCH
    return done / (time.perf_counter() - start)


def main():
    options = parse()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    import keras
    import tensorflow as tf

    from retinue.data.storage.atomic_files import atomic_write

    large, small = image_files(375, 500), image_files(SIZE, SIZE)
    rows = our_rows(tf) + keras_rows(tf, keras)
    rates = [[] for _ in rows]
    for _ in range(options.runs):
        for row, measured in zip(rows, rates, strict=True):
            measured.append(rate(tf, large if row[3] else small, row, options.cores, options.seconds))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(
        ["operation", "library", "applied_to", "images_per_second", "slowest", "fastest", "runs", "cores"]
        + ["tensorflow", "keras"]
    )
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {options.cores} cores, {options.runs} runs")
    print(f"{'operation':44}{'library':10}{'applied to':12}{'images/s':>10}{'slowest':>10}{'fastest':>10}")
    for (name, library, by, _, _), measured in sorted(zip(rows, rates, strict=True), key=lambda pair: pair[0][0]):
        median, low, high = (round(value) for value in (statistics.median(measured), min(measured), max(measured)))
        writer.writerow(
            [name, library, by, median, low, high, options.runs, options.cores, tf.__version__, keras.__version__]
        )
        print(f"{name:44}{library:10}{by:12}{median:>10,}{low:>10,}{high:>10,}")
    atomic_write(RESULTS, table.getvalue())
    print(f"written: {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")


if __name__ == "__main__":
    main()
