"""Compare `retinue predict` with Keras and torchvision, from JPEG files to results on disk, with the scores.

    python benchmarks/end_to_end.py RUN... [--int8 EXPORT...] [--data SOURCE] [--torch PYTHON]

RUN: run folders of classification, of EfficientNet-Lite0 and ResNet-50 for instance; EXPORT: int8 exports, in the
same order. Each model is run over one folder of 500 x 375 images, each competitor in a process of its own, all of them
in turn and `--repeats` times. The clock starts when the model is loaded (and, for the peers, has seen a batch) and
stops when the last line is on disk. The first run is raced over `--count` files, a second one (a slower model) over
`--second-count`, and the peers over the first `--peer-count`. Beside each precision stands the score on `--data`'s
validation files. The medians go into benchmarks/results/end_to_end.csv.

Keras: `image_dataset_from_directory` and `predict`. torchvision (`--torch`, an interpreter that has it; for ResNet-50):
`ImageFolder`'s reading, its usual preprocessing for prediction and a DataLoader with 2 workers.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from competitor_process import run_competitor
from predict import BATCH, make_images, run_keras

RESULTS = Path(__file__).parent / "results" / "end_to_end.csv"


def run_torchvision(image_files, out):
    """What a reader of torchvision's documentation would write; random weights, which cost as much time."""
    import csv

    import torch
    from PIL import Image
    from torchvision import models, transforms

    prepare = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    class Images(torch.utils.data.Dataset):
        def __init__(self, files):
            self.files = files

        def __len__(self):
            return len(self.files)

        def __getitem__(self, row):
            return prepare(Image.open(self.files[row]).convert("RGB"))

    files = sorted(image_files.iterdir())
    model = models.resnet50(weights=None).eval()
    with torch.inference_mode():
        model(torch.stack([Images(files)[row] for row in range(BATCH)]))
        started = time.perf_counter()
        with open(out / "predictions.csv", "w", newline="") as file:
            writer = csv.writer(file)
            row = 0
            for batch in torch.utils.data.DataLoader(Images(files), batch_size=BATCH, num_workers=2):
                scores, labels = model(batch).softmax(1).max(1)
                for label, score in zip(labels.tolist(), scores.tolist(), strict=True):
                    writer.writerow([files[row], label, score])
                    row += 1
    return time.perf_counter() - started, row


def run_retinue(model, image_files, out, runtime, precision):
    from retinue.pipeline.prediction.predict import predict

    summary = predict(model, [image_files], out / "results", runtime=runtime, precision=precision)
    assert not summary.failures
    return summary.seconds, summary.images


def work(competitor, model, image_files):
    with tempfile.TemporaryDirectory() as out:
        if competitor == "keras":
            seconds, images = run_keras(model, image_files, Path(out))
        elif competitor == "torchvision":
            seconds, images = run_torchvision(Path(image_files), Path(out))
        else:
            seconds, images = run_retinue(model, image_files, Path(out), *competitor.split())
    print(json.dumps({"images": images, "seconds": seconds}))


def measure(competitor, model, image_files, python):
    """Images a second of one run in a process of its own."""
    found = run_competitor(competitor, [python, __file__, "--work", competitor, model, image_files])
    return found["images"] / found["seconds"], found["images"]


def competitors(run, int8, torch):
    """(backbone, [(name, model folder)]) for one model; the peers come first."""
    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.runtimes import bf16_bias_correction

    backbone = open_model(run).config.model.backbone
    peers = ["keras"] + ["torchvision"] * bool(torch and backbone == "resnet50")
    own = ["openvino f32"] + ["openvino bf16"] * bf16_bias_correction.is_native()
    return backbone, [(name, run) for name in peers + own] + [("openvino int8", int8)] * bool(int8)


def linked(image_files, count):
    """A folder with the first `count` of the images."""
    folder = image_files.with_name(str(count))
    folder.mkdir(exist_ok=True)
    for file in sorted(image_files.iterdir())[:count]:
        if not (folder / file.name).exists():
            os.link(file, folder / file.name)
    return folder


def test_score(name, model, data):
    """The fraction of validation files that a model is right on, by the runtime and in the precision that is timed."""
    from retinue import evaluate

    runtime, precision = name.split()
    return round(evaluate(model, data, split="test", runtime=runtime, precision=precision).value, 4)


def write_table(measured, scores, repeats, torch_version):
    from retinue.configs.machine import usable_cores
    from retinue.pipeline.runs.run import to_csv, versions

    rows = []
    for (backbone, name), runs in measured.items():
        rate = statistics.median(rate for rate, _ in runs)
        row = {"network": backbone, "competitor": name, "images_per_second": round(rate, 1)}
        for peer in ("keras", "torchvision"):
            peers = measured.get((backbone, peer))
            row[f"times_{peer}"] = round(rate / statistics.median(one for one, _ in peers), 2) if peers else None
        row |= {"test_score": scores.get((backbone, name)), "images": runs[0][1], "runs": repeats}
        row |= {"slowest": round(min(runs)[0], 1), "fastest": round(max(runs)[0], 1), "cores": usable_cores()}
        rows.append(row | {"torch": torch_version} | versions())
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--int8", nargs="*", default=[])
    parser.add_argument("--data", help="the validation image_files with their labels, for the scores; a data source")
    parser.add_argument("--torch")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--second-count", type=int, default=1000)
    parser.add_argument("--peer-count", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    version = "import torch, torchvision; print(torch.__version__, torchvision.__version__)"
    torch_version = None
    if options.torch:
        asked = subprocess.run([options.torch, "-c", version], capture_output=True, text=True, check=True)
        torch_version = asked.stdout.strip()
    measured, scores = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        image_files = Path(scratch) / "image_files"
        make_images(image_files, options.count)
        second, few = (linked(image_files, count) for count in (options.second_count, options.peer_count))
        for repeat in range(options.repeats):
            for index, (run, int8) in enumerate(itertools.zip_longest(options.runs, options.int8)):
                backbone, raced = competitors(run, int8, options.torch)
                for name, model in raced:
                    files = few if name in ("keras", "torchvision") else second if index else image_files
                    python = options.torch if name == "torchvision" else sys.executable
                    measured.setdefault((backbone, name), []).append(measure(name, model, files, python))
                    print(
                        f"repeat {repeat + 1}: {backbone}, {name}: {measured[backbone, name][-1][0]:.1f}/s", flush=True
                    )
                    if options.data and " " in name and (backbone, name) not in scores:
                        scores[backbone, name] = test_score(name, model, options.data)
    write_table(measured, scores, options.repeats, torch_version)


if __name__ == "__main__":
    main()
