"""`retinue benchmark`: every runtime and precision that a model can have, measured on a user's own files."""

import itertools
import logging
import multiprocessing
import resource
import tempfile
import time

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.quiet import import_tensorflow
from retinue.pipeline.exporting.export import TOLERANCE
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.prediction.predictor import Predictor
from retinue.pipeline.runs.run import open_model
from retinue.pipeline.runtimes import runtimes
from retinue.pipeline.runtimes.concurrent_requests import in_turn
from retinue.tasks.scores import counted

logger = logging.getLogger(__name__)

FILES = 200  # that the end-to-end speed is taken over
COMPARED = 16  # files whose answers are compared
CALLS = 50  # of one file each, for the latency
SECONDS = 5.0  # that the model alone is run for


def benchmark(model_path, sources, *, count=FILES):
    """Measure each runtime and precision, one after the other, each in a process of its own.

    model_path: a run folder or an export. sources: see `sources.find_files`; the first `count` files are taken.
    Returns a list of dicts, a row a way: runtime, precision; images_per_second from files to results on disk, and
    model_per_second, of the model alone with as many calls under way as it takes; latency_p50_ms and latency_p99_ms of
    one file, decoded before; memory_mb, the most that the process held; and how its answers to the first 16 files
    agree with f32 (of TensorFlow where that is offered): same_answers, a share, and largest_difference of a score.
    Of an int8 export the run that it came from is measured, too, to compare with; where that is gone, both are None.
    Raises UsageError as `predict` does, and RetinueError when a way fails or no file can be read.
    """
    model = open_model(model_path)
    found = find_files(sources, clips=model.task.is_video)
    files = list(itertools.islice(found, count))
    ways = [(model.folder, *way) for way in runtimes.runtimes_and_precisions(model)]
    if model.precision == "int8":
        ways = _ways_of_its_run(model) + ways
    noun = "clip" if model.task.is_video else "file"
    logger.info(
        f"{model_path}: {counted(len(ways), 'way')} over {counted(len(files), noun)}, each in a process of its own"
    )
    rows, truths = [], None
    for folder, runtime, precision in ways:
        row, outputs = _in_own_process(str(folder), files, runtime, precision)
        rows.append(row)
        truths = outputs if truths is None and precision != "int8" else truths
        if truths is None:
            row["same_answers"] = row["largest_difference"] = None
            continue
        agreed = [model.task.compare_outputs(one, truth, TOLERANCE) for one, truth in zip(outputs, truths, strict=True)]
        row["same_answers"] = sum(one["same"] + one["near_ties"] for one in agreed) / len(agreed)
        row["largest_difference"] = max(one["largest_difference"] for one in agreed)
    return rows


def _ways_of_its_run(model):
    """(folder, runtime, precision) for the run that an export came from, none where that is not there as it was."""
    try:
        run = open_model(model.exported_from)
        usable = run.kind == "run" and run.classes == model.classes
    except RetinueError:
        usable = False
    if not usable:
        logger.warning(
            f"{model.folder}: the run it came from is not at {model.exported_from}, so there is no f32 to compare with"
        )
        return []
    logger.info(f"f32 and bf16: of {run.folder}, which it came from")
    return [(run.folder, *way) for way in runtimes.runtimes_and_precisions(run)]


def table(rows):
    """The rows as lines for the screen."""
    heads = ("runtime", "", "files/s", "model/s", "p50 ms", "p99 ms", "memory", "same answers", "largest difference")
    lines = [heads]
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
                "-" if row["same_answers"] is None else f"{row['same_answers']:.1%}",
                "-" if row["largest_difference"] is None else f"{row['largest_difference']:.1e}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _in_own_process(model_path, files, runtime, precision):
    """What `_measure` gives. What one way holds in memory is not counted in the next."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, initializer=import_tensorflow) as pool:
        given = pool.apply(_measure, (model_path, files, runtime, precision))
    if isinstance(given, str):
        raise RetinueError(f"{runtime} {precision}: {given}")
    return given


def _measure(model_path, files, runtime, precision):
    """(row, outputs of the first files), or the reason why not. Runs in a process of its own."""
    try:
        with tempfile.TemporaryDirectory() as out:
            done = predict(model_path, files, out, runtime=runtime, precision=precision)
        row = {"runtime": runtime, "precision": precision, "images_per_second": done.rate}
        row["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        predictor = Predictor(model_path, runtime, precision)
        tensors = [one for one in map(predictor.read, files[:COMPARED]) if one]
        if not tensors:
            return "none of the first files can be read"
        row |= _model_alone(predictor, tensors[0]) | _latency(predictor, tensors)
        return row, [predictor.outputs([one]) for one in tensors]
    except RetinueError as error:
        return str(error)


def _model_alone(predictor, tensors):
    """How many files a second the model would answer if they were decoded already."""
    batch, count = [tensors] * predictor.batch, 0
    predictor.outputs(batch)
    started = time.perf_counter()

    def asked():
        while time.perf_counter() - started < SECONDS:
            yield predictor.submit(batch)

    for _ in in_turn(asked(), predictor.runtime.num_requests):
        count += len(batch)
    return {"model_per_second": count / (time.perf_counter() - started)}


def _latency(predictor, tensors):
    """Milliseconds from one file's tensors to its outputs: the median, and what one in a hundred takes longer than."""
    taken = []
    for call in range(CALLS):
        started = time.perf_counter()
        predictor.outputs([tensors[call % len(tensors)]])
        taken.append(1000 * (time.perf_counter() - started))
    return {"latency_p50_ms": float(np.percentile(taken, 50)), "latency_p99_ms": float(np.percentile(taken, 99))}
