"""`retinue benchmark`: every runtime and precision that a model can have, measured on a user's own files."""

import itertools
import logging
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.quiet import import_tensorflow
from retinue.pipeline.exporting.export import TOLERANCE
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.prediction.predictor import Outputs, Predictor
from retinue.pipeline.runs.run import Model, open_model
from retinue.pipeline.runtimes import runtimes
from retinue.pipeline.runtimes.concurrent_requests import in_turn
from retinue.tasks.scores import counted

logger = logging.getLogger(__name__)

MAX_FILES = 200  # for the speed from files to results
COMPARED_FILES = 16  # whose outputs are compared
LATENCY_CALLS = 50  # with one file each
MODEL_SECONDS = 5.0  # for the speed of the model alone

Row = dict[str, Any]
Configuration = tuple[Path, str, str]  # folder of the model, runtime, precision


def benchmark(
    model_path: str | os.PathLike[str], sources: Sequence[str | os.PathLike[str]], *, limit: int = MAX_FILES
) -> list[Row]:
    """Measure each runtime and precision, one after the other, each in a process of its own.

    For an int8 export, the run that it was made from is measured, too, to compare with. If that run is gone,
    `same_predictions` and `largest_difference` are None.

    Args:
        model_path: a run folder or an export.
        sources: files, folders, patterns and lists; see `sources.find_files`.
        limit: the largest number of files to use.

    Returns:
        A row for each runtime and precision:

        * runtime, precision;
        * images_per_second: the speed from files to results on the disk;
        * model_per_second: the images per second of the model alone, with as many requests in flight as it takes;
        * latency_p50_ms, latency_p99_ms: milliseconds from the decoded file to the outputs;
        * memory_mb: the largest memory of the process;
        * same_predictions: the fraction of the first 16 files with the same prediction as f32 (of TensorFlow, if it
          can run the model);
        * largest_difference: the largest difference of a score from f32 in these files.

    Raises:
        UsageError: as for `predict`.
        RetinueError: a runtime fails, or no file can be read.
    """
    model = open_model(model_path)
    files = list(itertools.islice(find_files(sources, clips=model.task.is_video), limit))
    configurations: list[Configuration] = [(model.folder, *pair) for pair in runtimes.runtimes_and_precisions(model)]
    if model.precision == "int8":
        configurations = _configurations_of_run(model) + configurations
    noun = "clip" if model.task.is_video else "file"
    logger.info(
        f"{model_path}: {counted(len(configurations), 'configuration')} with {counted(len(files), noun)}, each in a "
        "process of its own"
    )
    rows: list[Row] = []
    expected: list[Outputs] | None = None
    for folder, runtime, precision in configurations:
        row, outputs = _in_own_process(str(folder), files, runtime, precision)
        rows.append(row)
        if expected is None and precision != "int8":
            expected = outputs
        if expected is None:
            row["same_predictions"] = row["largest_difference"] = None
            continue
        comparisons = [model.task.compare_outputs(*pair, TOLERANCE) for pair in zip(outputs, expected, strict=True)]
        same = sum(comparison["same"] + comparison["near_ties"] for comparison in comparisons)
        row["same_predictions"] = same / len(comparisons)
        row["largest_difference"] = max(comparison["largest_difference"] for comparison in comparisons)
    return rows


def _configurations_of_run(model: Model) -> list[Configuration]:
    """Return the configurations of the run that an export was made from; none if it is gone or has changed."""
    try:
        run = open_model(model.exported_from)
        is_usable = run.kind == "run" and run.classes == model.classes
    except RetinueError:
        is_usable = False
    if not is_usable:
        logger.warning(
            f"{model.folder}: the run that it was made from is not in {model.exported_from}, so there is no f32 to "
            "compare with"
        )
        return []
    logger.info(f"f32 and bf16 are those of {run.folder}, the run that it was made from")
    return [(run.folder, *pair) for pair in runtimes.runtimes_and_precisions(run)]


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines for the screen."""
    header = (
        *("runtime", "", "files/s", "model/s", "p50 ms", "p99 ms", "memory"),
        *("same predictions", "largest difference"),
    )
    lines = [header]
    for row in rows:
        lines.append(
            (
                row["runtime"],
                row["precision"],
                f"{row['images_per_second']:,.1f}",
                f"{row['model_per_second']:,.1f}",
                f"{row['latency_p50_ms']:,.1f}",
                f"{row['latency_p99_ms']:,.1f}",
                f"{row['memory_mb']:,.0f} MB",
                "-" if row["same_predictions"] is None else f"{row['same_predictions']:.1%}",
                "-" if row["largest_difference"] is None else f"{row['largest_difference']:.1e}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _in_own_process(model_path: str, files: list[str], runtime: str, precision: str) -> tuple[Row, list[Outputs]]:
    """Return what `_measure` returns. The memory of one configuration is then not counted in that of the next."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, initializer=import_tensorflow) as pool:
        result = pool.apply(_measure, (model_path, files, runtime, precision))
    if isinstance(result, str):
        raise RetinueError(f"{runtime} {precision}: {result}")
    return result


def _measure(model_path: str, files: list[str], runtime: str, precision: str) -> tuple[Row, list[Outputs]] | str:
    """Return a row and the outputs for the first files, or the reason why not. It runs in a process of its own."""
    try:
        with tempfile.TemporaryDirectory() as out:
            summary = predict(model_path, files, out, runtime=runtime, precision=precision)
        row: Row = {"runtime": runtime, "precision": precision, "images_per_second": summary.files_per_second}
        row["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        predictor = Predictor(model_path, runtime, precision)
        inputs = [read for read in map(predictor.read, files[:COMPARED_FILES]) if read]
        if not inputs:
            return "none of the first files can be read; use other files"
        row |= _measure_model(predictor, inputs[0]) | _measure_latency(predictor, inputs)
        return row, [predictor.run([one]) for one in inputs]
    except RetinueError as error:
        return str(error)


def _measure_model(predictor: Predictor, inputs: Outputs) -> dict[str, float]:
    """Measure how many files per second the model predicts if they are decoded already."""
    batch, count = [inputs] * predictor.batch_size, 0
    predictor.run(batch)
    started = time.perf_counter()

    def requests() -> "Iterator[Future[Outputs]]":
        while time.perf_counter() - started < MODEL_SECONDS:
            yield predictor.submit(batch)

    for _ in in_turn(requests(), predictor.runtime.num_requests):
        count += len(batch)
    return {"model_per_second": count / (time.perf_counter() - started)}


def _measure_latency(predictor: Predictor, inputs: Sequence[Outputs]) -> dict[str, float]:
    """Measure the milliseconds from the inputs of one file to its outputs: the median and the 99th percentile."""
    milliseconds = []
    for call in range(LATENCY_CALLS):
        started = time.perf_counter()
        predictor.run([inputs[call % len(inputs)]])
        milliseconds.append(1000 * (time.perf_counter() - started))
    return {
        "latency_p50_ms": float(np.percentile(milliseconds, 50)),
        "latency_p99_ms": float(np.percentile(milliseconds, 99)),
    }
