"""Measure how many multiply-adds per second OpenVINO's convolutions reach on this processor by themselves.

    python benchmarks/convolution_peak.py [--repeats 5]

Stacks of six convolutions with ReLU, of ResNet-50's six most common shapes, batches of 8, on all cores, in f32 and in
int8 by nncf. What a model can do at most follows: ResNet-50 has 4.09 billion multiply-adds at 224 px,
EfficientNet-Lite0 0.385. Writes benchmarks/results/convolution_peak.csv.
"""

import argparse
import logging
import statistics
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "convolution_peak.csv"
SHAPES = ((64, 56, 3), (128, 28, 3), (256, 14, 3), (256, 56, 1), (512, 28, 1), (1024, 14, 1))  # channels, side, kernel
DEPTH, BATCH, CALLS = 6, 8, 40


def stack(channels, side, kernel):
    """The `openvino.Model` of DEPTH convolutions, and its multiply-adds for a batch, in billions."""
    import openvino

    operations = openvino.opset13
    image = operations.parameter([BATCH, channels, side, side], np.float32, "image")
    image.output(0).set_names({"image"})
    drawn, maps, around = np.random.default_rng(0), image, [kernel // 2] * 2
    for _ in range(DEPTH):
        weights = drawn.normal(0, (2 / (channels * kernel**2)) ** 0.5, (channels, channels, kernel, kernel))
        convolved = operations.convolution(maps, weights.astype(np.float32), [1, 1], around, around, [1, 1])
        maps = operations.relu(convolved)
    return openvino.Model([maps], [image]), DEPTH * BATCH * (side * channels * kernel) ** 2 / 1e9


def speed(model, billions, batch):
    """Billions of multiply-adds a second, as many calls at a time as OpenVINO thinks best."""
    import openvino

    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(model, "CPU", hints))
    for count in (len(queue) * 2, CALLS):  # the first to warm up
        began = time.perf_counter()
        for _ in range(count):
            queue.start_async(batch)
        queue.wait_all()
    return billions * CALLS / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    import nncf

    from retinue.configs.machine import usable_cores
    from retinue.pipeline.runs.run import to_csv, versions

    nncf.set_log_level(logging.ERROR)
    drawn, rows = np.random.default_rng(1), []
    for channels, side, kernel in SHAPES:
        model, billions = stack(channels, side, kernel)
        batches = [{"image": drawn.uniform(0, 1, (BATCH, channels, side, side)).astype(np.float32)} for _ in range(3)]
        small = nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches))
        found = {"f32": [], "int8": []}
        for _ in range(options.repeats):
            for precision, one in (("f32", model), ("int8", small)):
                found[precision].append(speed(one, billions, batches[0]))
        row = {"channels": channels, "side": side, "kernel": kernel}
        row |= {f"{precision}_billions_a_second": round(statistics.median(each)) for precision, each in found.items()}
        row |= {f"{precision}_range": f"{min(each):.0f}-{max(each):.0f}" for precision, each in found.items()}
        rows.append(row | {"runs": options.repeats, "cores": usable_cores()} | versions())
        print(row, flush=True)
    RESULTS.write_text(to_csv(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
