"""Compare training the head from cached features with training image by image and with Keras's usual `fit`.

    python benchmarks/features.py [--epochs 20] [--size 160] [--views 4] [--repeats 1] [--competitors NAME...]
                                  [--out FILE]

The solar cells of `retinue demo`, 1,970 to learn from and 654 for validation, EfficientNet-Lite0 with ImageNet weights,
batches of 32, dropout 0.2, AdamW, one cosine with the same warm-up, label smoothing, validation after every epoch;
images are mirrored both ways, by Keras's `RandomFlip` in `Dataset.map` and by retinue's own operations. Competitors:
"keras": `image_dataset_from_directory` and `Model.fit`, as in Keras's guide to transfer learning; "images": retinue's
head stage with train.cached_feature_views=0; "features": the same with so many views, nothing of them in the cache.
Each runs
in a process of its own, and all again `--repeats` times. The seconds are those of the stage, from the first file to the
last epoch's score: computing features is in them, loading the model is not. Writes benchmarks/results/features.csv, or
`--out`.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from competitor_process import run_competitor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

COMPETITORS = ("keras", "images", "features")
RATE, BATCH, DROPOUT, SMOOTHING, DECAY, WARMUP = 1e-3, 32, 0.2, 0.1, 1e-4, 0.5
RESULTS = Path(__file__).parent / "results" / "features.csv"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=160, help="of the images in pixels")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--competitors", nargs="+", choices=COMPETITORS, default=COMPETITORS)
    parser.add_argument("--out", default=RESULTS, help="the table that is written")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_folders(folder):
    """Links to the images as folder/train/CLASS/NAME and folder/val/CLASS/NAME."""
    from retinue.pipeline.demos.solar_cells import solar_cell_rows, solar_cells

    for row in solar_cell_rows(solar_cells()):
        split = {"train": "train", "test": "val"}[row["split"]]
        link = folder / split / row["label"] / Path(row["file"]).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(row["file"])


def run_keras(folder, options):
    """What a reader of Keras's guide would write. Gives seconds and the accuracy after each epoch."""
    import keras
    import tensorflow as tf

    import retinue

    keras.utils.set_random_seed(0)
    base = retinue.backbone("efficientnet_lite0", weights="imagenet")
    base.trainable = False
    image = keras.Input((options.size, options.size, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(image, training=False)[32])
    x = keras.layers.Dropout(DROPOUT)(x)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    flip = keras.layers.RandomFlip("horizontal_and_vertical")
    started = time.perf_counter()
    read = {"image_size": (options.size, options.size), "batch_size": BATCH, "label_mode": "categorical"}
    train = keras.utils.image_dataset_from_directory(folder / "train", seed=0, verbose=False, **read)
    val = keras.utils.image_dataset_from_directory(folder / "val", shuffle=False, verbose=False, **read)
    steps = len(train)
    train = train.map(lambda images, labels: (flip(images, training=True), labels), tf.data.AUTOTUNE).prefetch(2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, int((options.epochs - WARMUP) * steps), warmup_target=RATE, warmup_steps=int(WARMUP * steps)
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=DECAY, global_clipnorm=1.0),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING),
        metrics=["accuracy"],
    )
    history = model.fit(train, validation_data=val.prefetch(2), epochs=options.epochs, verbose=0).history
    return time.perf_counter() - started, history["val_accuracy"]


def run_retinue(folder, options, views):
    """The head stage of `retinue train`. Gives the same."""
    import keras

    from retinue import tasks
    from retinue.configs.load import load_config
    from retinue.data.readers.read import read
    from retinue.pipeline.evaluation.evaluate import Evaluation
    from retinue.pipeline.runs.progress import Progress
    from retinue.pipeline.runs.run import Run
    from retinue.pipeline.training.trainer import Trainer

    changes = "vertical_flip=true crop_scale=[1,1] crop_aspect=[1,1] brightness=0 contrast=0 saturation=0"
    config = load_config(
        settings=[
            f"model.input_size={options.size}",
            f"model.dropout={DROPOUT}",
            f"train.batch_size={BATCH}",
            f"train.label_smoothing={SMOOTHING}",
            f"train.weight_decay={DECAY}",
            f"train.warmup_epochs={WARMUP}",
            f"train.cached_feature_views={views}",
            f"train.stages.head.epochs={options.epochs}",
            f"train.stages.head.learning_rate={RATE}",
            "train.stages.all.epochs=0",
            *(f"augment.{setting}" for setting in changes.split()),
        ]
    )
    keras.utils.set_random_seed(config.seed)
    data = read(str(folder))
    task = tasks.create(config, data.classes)
    model = task.build()
    validation = data.split("val")
    with tempfile.TemporaryDirectory() as scratch:
        run = Run.create(Path(scratch) / "run", task, "benchmarks/features.py")
        trainer = Trainer(run, task, model, data.split("train"), Evaluation(task, model, validation), Progress())
        started = time.perf_counter()
        history = trainer.run_all()
        return time.perf_counter() - started, [row["val_accuracy"] for row in history]


def work(competitor, folder, options):
    if competitor == "keras":
        seconds, accuracies = run_keras(Path(folder), options)
    else:
        seconds, accuracies = run_retinue(folder, options, options.views if competitor == "features" else 0)
    print(json.dumps({"seconds": seconds, "last": accuracies[-1], "best": max(accuracies)}))


def measure(competitor, folder, options, scratch):
    """One run in a process of its own, with an empty cache."""
    numbers = [f"--{name}={getattr(options, name)}" for name in ("epochs", "size", "views")]
    command = [sys.executable, __file__, *numbers, "--work", competitor, folder]
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        return run_competitor(competitor, command, RETINUE_CACHE=cache)


def main():
    options = parse()
    if options.work:
        return work(*options.work, options)
    measured = {competitor: [] for competitor in options.competitors}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "cells"
        make_folders(folder)
        for repeat in range(options.repeats):
            for competitor, found in measured.items():
                found.append(measure(competitor, folder, options, scratch))
                print(f"run {repeat + 1}: {competitor}: {found[-1]}", flush=True)
    write_table(measured, options)


def write_table(measured, options):
    from retinue.configs.machine import usable_cores
    from retinue.data.storage.atomic_files import atomic_write
    from retinue.pipeline.runs.run import to_csv, versions

    def middle(competitor, key):
        return statistics.median(run[key] for run in measured[competitor])

    first = next(iter(measured))
    rows = [
        {
            "competitor": competitor,
            "epochs": options.epochs,
            "views": options.views if competitor == "features" else options.epochs,
            "input_size": options.size,
            "seconds": round(middle(competitor, "seconds"), 1),
            f"times_{first}": round(middle(first, "seconds") / middle(competitor, "seconds"), 1),
            "last_accuracy": round(middle(competitor, "last"), 4),
            "best_accuracy": round(middle(competitor, "best"), 4),
            "runs": len(runs),
            "fastest": round(min(run["seconds"] for run in runs), 1),
            "slowest": round(max(run["seconds"] for run in runs), 1),
            "cores": usable_cores(),
            **versions(),
        }
        for competitor, runs in measured.items()
    ]
    atomic_write(options.out, to_csv(rows))
    print(to_csv(rows))


if __name__ == "__main__":
    main()
