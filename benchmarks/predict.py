"""Compare `retinue predict` with plain Keras in images per second, from JPEG files to results, with one model.

    python benchmarks/predict.py [--count 1500] [--repeats 3] [--images FOLDER]

Each competitor runs in a process of its own, one after the other, and all of them again `--repeats` times. A run counts
from the first file to the last line on disk, with the model loaded (and, for Keras, one batch done) before; loading is
in a column of its own. The median goes into benchmarks/results/predict.csv. EfficientNet-Lite0 at 224 px with random
weights: speed does not depend on them. Without `--images`, 500 x 375 images of image-like size are made.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from competitor_process import run_competitor

COMPETITORS = ("keras", "tensorflow f32", "openvino f32", "openvino bf16")
BATCH = 32
RESULTS = Path(__file__).parent / "results" / "predict.csv"


def make_images(folder, count, width=500, height=375):
    """JPEG files of about 55 kB, as images of this size have: shapes, edges and some grain."""
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        for _ in range(30):
            corner, far = rng.integers(0, width, 2).tolist(), rng.integers(0, width, 2).tolist()
            cv2.line(image, corner, far, rng.integers(0, 256, 3).tolist(), int(rng.integers(1, 9)))
        image += cv2.resize(rng.normal(0, 9, (height // 2, width // 2, 3)).astype(np.float32), (width, height))
        image = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])


def make_run(folder, input_size=224):
    """A run folder of EfficientNet-Lite0 with ten classes and random weights."""
    from retinue import tasks
    from retinue.configs.load import load_config
    from retinue.pipeline.runs.run import Run

    config = load_config(settings=[f"model.input_size={input_size}", f"evaluate.batch_size={BATCH}"])
    classes = [f"class {number}" for number in range(10)]
    task = tasks.create(config, classes)
    run = Run.create(folder, task, "benchmarks/predict.py")
    task.build(weights="none").save_weights(folder / "best.weights.h5")
    return run


def run_keras(run, image_files, out):
    """What a reader of the Keras guides would write."""
    import keras

    from retinue.pipeline.runs.run import open_model

    opened = open_model(run)
    trained = opened.build()
    model = keras.Model(trained.input, keras.layers.Softmax()(trained.output))
    size = (opened.config.model.input_size,) * 2
    options = {"labels": None, "image_size": size, "batch_size": BATCH, "shuffle": False, "verbose": False}
    warm = keras.utils.image_dataset_from_directory(image_files, **options)
    model.predict(warm.take(1), verbose=0)
    started = time.perf_counter()
    data = keras.utils.image_dataset_from_directory(image_files, **options)
    scores = model.predict(data, verbose=0)
    with open(out / "predictions.csv", "w", newline="") as file:
        writer = csv.writer(file)
        for name, row in zip(data.file_paths, scores, strict=True):
            writer.writerow([name, opened.classes[row.argmax()], row.max()])
    return time.perf_counter() - started, len(scores)


def run_retinue(run, image_files, out, runtime, precision):
    """`predict` as the command line calls it; its clock starts when the model is loaded."""
    from retinue.pipeline.prediction.predict import predict

    summary = predict(run, [image_files], out / "results", runtime=runtime, precision=precision)
    assert not summary.failures
    return summary.seconds, summary.images


def work(competitor, run, image_files):
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        if competitor == "keras":
            seconds, images = run_keras(run, image_files, Path(out))
        else:
            seconds, images = run_retinue(run, image_files, Path(out), *competitor.split())
    whole = time.perf_counter() - started
    print(json.dumps({"images": images, "seconds": seconds, "loading": whole - seconds}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1500, help="images that are made")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--image_files", help="a folder of JPEG files instead")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        image_files = Path(options.image_files) if options.image_files else scratch / "image_files"
        if not options.image_files:
            make_images(image_files, options.count)
        make_run(scratch / "run")
        measured = {competitor: [] for competitor in COMPETITORS}
        for repeat in range(options.repeats):
            for competitor in COMPETITORS:
                measured[competitor].append(measure(competitor, scratch / "run", image_files))
                print(f"repeat {repeat + 1}: {competitor}: {measured[competitor][-1]['rate']:.1f} images/s", flush=True)
    write_table(measured)


def measure(competitor, run, image_files):
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--work", competitor, run, image_files]
    found = run_competitor(competitor, command)
    return found | {"rate": found["images"] / found["seconds"]}


def write_table(measured):
    from retinue.configs.machine import usable_cores
    from retinue.pipeline.runs.run import to_csv, versions

    def middle(competitor, key):
        return statistics.median(run[key] for run in measured[competitor])

    rows = [
        {
            "competitor": competitor,
            "images_per_second": round(middle(competitor, "rate"), 1),
            "times_keras": round(middle(competitor, "rate") / middle("keras", "rate"), 2),
            "loading_seconds": round(middle(competitor, "loading"), 1),
            "images": measured[competitor][0]["images"],
            "runs": len(measured[competitor]),
            "slowest": round(min(run["rate"] for run in measured[competitor]), 1),
            "fastest": round(max(run["rate"] for run in measured[competitor]), 1),
            "cores": usable_cores(),
            **versions(),
        }
        for competitor in measured
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))


if __name__ == "__main__":
    main()
