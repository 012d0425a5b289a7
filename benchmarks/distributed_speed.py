"""What training by several workers costs, and what this project's training step costs beside Keras's own.

    python benchmarks/distributed_speed.py [--repeats 3] [--out FILE]

"workers": `retinue launch` with one worker on all cores of the machine, and with two that have half of them each, on
the same images in the same batches of 32 (EfficientNet-Lite0 at 96 px, all layers learn): images a second of the last
epoch, from `metrics.csv`. "fit": `TaskModel.fit` and `keras.Model.fit` on the same layers, loss, optimizer and tensors
in memory, in turn, in one process: steps a second. The middle of so many repeats. Writes
benchmarks/results/distributed_speed.csv, or `--out`.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

RESULTS = Path(__file__).parent / "results" / "distributed_speed.csv"
SETTINGS = [
    "model.backbone=efficientnet_lite0",
    "model.weights=none",
    "model.input_size=96",
    "train.batch_size=32",
    "train.stages={all: {epochs: 3, learning_rate: 0.001}}",
    "evaluate.bootstrap_samples=0",
]
MODELS = (("lenet5", 32, 32, 600), ("resnet18", 64, 16, 40))  # backbone, pixels, batch, steps


def workers_speed(data, workers, out):
    """Images a second of the last epoch."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    command = ["launch", "--workers", str(workers), "--", "train", str(data), "--out", str(out), *settings]
    subprocess.run([sys.executable, "-m", "retinue.cli", *command], check=True, stdout=subprocess.DEVNULL)
    with open(out / "metrics.csv") as file:
        return float(list(csv.DictReader(file))[-1]["images_per_second"])


def fit_speeds(backbone, size, batch, steps, repeats):
    """({"keras", "retinue"}: steps a second)."""
    import keras
    import numpy as np
    import tensorflow as tf

    from retinue import tasks
    from retinue.configs.load import load_config

    chosen = [f"model.backbone={backbone}", "model.weights=none", f"model.input_size={size}", "model.dropout=0"]
    config = load_config(settings=[*chosen, "train.label_smoothing=0"])
    drawn = np.random.default_rng(0)
    images = drawn.integers(0, 256, (batch, size, size, 3)).astype("uint8")
    targets = np.eye(3, dtype="float32")[drawn.integers(0, 3, batch)]
    data = tf.data.Dataset.from_tensors((images, targets)).repeat().prefetch(2)
    ours = tasks.create(config, ("a", "b", "c")).build()
    plain = keras.Model(ours.inputs, ours.outputs)
    plain.compile(keras.optimizers.SGD(1e-4), keras.losses.CategoricalCrossentropy(from_logits=True))
    ours.compile(keras.optimizers.SGD(1e-4))
    speeds = {"keras": [], "retinue": []}
    for repeat in range(repeats + 1):  # the first one traces
        for name, model in (("keras", plain), ("retinue", ours)):
            began = time.perf_counter()
            model.fit(data, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
            if repeat:
                speeds[name].append(steps / (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in speeds.items()}


def make_images(folder, count=480):
    import numpy as np
    from PIL import Image

    drawn = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("a", "b")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.integers(0, 256, (96, 96, 3)).astype("uint8")).save(path)
    return folder


def main():
    from retinue.pipeline.runs.run import to_csv

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default=RESULTS)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data, found = make_images(Path(folder) / "images"), {1: [], 2: []}
        for repeat in range(options.repeats):
            for workers, speeds in found.items():
                speeds.append(workers_speed(data, workers, Path(folder) / f"{repeat}-{workers}"))
        for workers, speeds in found.items():
            what = f"{workers} worker{'s' if workers > 1 else ''}, {os.cpu_count() // workers} cores each"
            rows.append({"what": what, "unit": "images/s", "speed": f"{statistics.median(speeds):.1f}"})
            print(rows[-1], flush=True)
    for backbone, size, batch, steps in MODELS:
        for name, speed in fit_speeds(backbone, size, batch, steps, 2 * options.repeats).items():
            what = f"{name} fit, {backbone} at {size} px, batch {batch}"
            rows.append({"what": what, "unit": "steps/s", "speed": f"{speed:.2f}"})
            print(rows[-1], flush=True)
    Path(options.out).write_text(to_csv(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
