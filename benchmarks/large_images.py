"""Measure prediction of 12-megapixel JPEG images: decoded at reduced size, decoded in full, and with Keras.

    python benchmarks/large_images.py RUN IMAGES [--count 60] [--repeats 5]

RUN: a run folder of classification; IMAGES: a folder with images of 6 megapixels and more, of which `--count` files of
4000 x 3000 pixels are cut, many from one image where there are fewer images. Each competitor works in a process of its
own, all of them in turn. `scaled` and `whole` are one `retinue predict` with `data.jpeg_dct_scaling` true and false,
`read
scaled` and `read whole` its decoding alone, from files to what the model takes, on all cores; what the first two
answer is compared: the fraction of images with the same label, and the differences of scores. The medians go into
benchmarks/results/large_images.csv.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from competitor_process import run_competitor
from predict import run_keras

RESULTS = Path(__file__).parent / "results" / "large_images.csv"
WIDTH, HEIGHT = 4000, 3000
COMPETITORS = ("keras", "whole", "scaled", "read whole", "read scaled")


def make_large(found, folder, count):
    """`count` different cuts of the images, each 4000 x 3000, as a camera writes them: quality 92, color halved."""
    import cv2
    import numpy as np

    folder.mkdir()
    image_files = [image_file for image_file in map(cv2.imread, map(str, found)) if image_file is not None]
    image_files = [image_file for image_file in image_files if image_file.shape[0] * image_file.shape[1] >= 6e6]
    if not image_files:
        sys.exit("none of the image_files has 6 megapixels")
    for number in range(count):
        image_file, rng = image_files[number % len(image_files)], np.random.default_rng(number)
        fraction = rng.uniform(0.7, 1) if number >= len(image_files) else 1
        fits = min(image_file.shape[0] / HEIGHT, image_file.shape[1] / WIDTH) * fraction
        height, width = int(HEIGHT * fits), int(WIDTH * fits)
        top, left = rng.integers(0, image_file.shape[0] - height + 1), rng.integers(0, image_file.shape[1] - width + 1)
        cut = cv2.resize(
            image_file[top : top + height, left : left + width], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
        )
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), cut, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return len(image_files)


def with_scaling(run, scaling, folder):
    """A copy of a run folder with `data.jpeg_dct_scaling` as reported."""
    import yaml

    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("tensorboard", "last", "check", "worst"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"]["jpeg_dct_scaling"] = scaling
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def work(competitor, run, image_files, out):
    out = Path(out)
    out.mkdir()
    if competitor == "keras":
        seconds, images = run_keras(run, image_files, out)
    elif competitor.startswith("read"):
        seconds, images = read_only(run, image_files)
    else:
        from retinue.pipeline.prediction.predict import predict

        summary = predict(run, [image_files], out / "results", formats=("jsonl", "csv"))
        assert not summary.failures
        seconds, images = summary.seconds, summary.images
    print(json.dumps(images / seconds))


def read_only(run, image_files):
    """Decoding as `predict` does it, without the model."""
    import time
    from concurrent.futures import ThreadPoolExecutor

    from retinue.configs.machine import usable_cores
    from retinue.pipeline.prediction.reader import Reader
    from retinue.pipeline.runs.run import open_model

    reader, files = Reader(open_model(run).task), sorted(map(str, Path(image_files).iterdir()))
    started = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as pool:
        assert all(tensors for tensors, _, _ in pool.map(reader, files))
    return time.perf_counter() - started, len(files)


def compared(one, other):
    """(share with the same label, mean and largest difference of the scores) of two folders of results."""
    import numpy as np

    pairs = [
        [{found["label"]: found["score"] for found in json.loads(line)["labels"]} for line in open(path)]
        for path in (one / "results" / "predictions.jsonl", other / "results" / "predictions.jsonl")
    ]
    differences, same = [], []
    for first, second in zip(*pairs, strict=True):
        same.append(max(first, key=first.get) == max(second, key=second.get))
        differences += [abs(first[label] - second[label]) for label in first.keys() & second.keys()]
    return np.mean(same), np.mean(differences), np.max(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?")
    parser.add_argument("image_files", nargs="?")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    from retinue.configs.machine import usable_cores
    from retinue.pipeline.runs.run import to_csv, versions

    rates = {name: [] for name in COMPETITORS}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        distinct = make_large(sorted(Path(options.image_files).rglob("*.jpg")), scratch / "image_files", options.count)
        runs = {name: with_scaling(options.run, name.endswith("scaled"), scratch / name) for name in COMPETITORS}
        for repeat in range(options.repeats):
            for name in COMPETITORS:
                out = scratch / f"{name}-{repeat}"
                command = [sys.executable, __file__, "--work", name, runs[name], scratch / "image_files", out]
                rates[name].append(run_competitor(name, command))
                print(f"repeat {repeat + 1}: {name}: {rates[name][-1]:.2f} image_files/s", flush=True)
        same, mean, largest = compared(scratch / "whole-0", scratch / "scaled-0")
    rows = []
    for name, found in rates.items():
        rate = statistics.median(found)
        row = {"competitor": name, "images_per_second": round(rate, 2)}
        plain = ("keras", "read whole" if name.startswith("read") else "whole")
        row |= dict(
            zip(("times_keras", "times_whole"), (rate / statistics.median(rates[p]) for p in plain), strict=True)
        )
        row |= {key: round(row[key], 2) for key in ("times_keras", "times_whole")}
        row |= {"slowest": round(min(found), 2), "fastest": round(max(found), 2)}
        is_scaled = name == "scaled"
        row |= {"same_label_as_whole": round(float(same), 4) if is_scaled else None}
        row |= {"mean_difference": round(float(mean), 5) if is_scaled else None}
        row |= {"largest_difference": round(float(largest), 5) if is_scaled else None}
        row |= {"image_files": options.count, "distinct": distinct, "runs": options.repeats, "cores": usable_cores()}
        rows.append(row | versions())
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))


if __name__ == "__main__":
    main()
