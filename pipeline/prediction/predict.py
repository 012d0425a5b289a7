"""Runs a model over files: threads read and decode them, the model predicts in batches, results are written at once."""

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from retinue.configs.choices import ENGINES
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import is_stream
from retinue.pipeline.inputs.sources import find_files, parse_shard
from retinue.pipeline.prediction.in_flight import KILLED_BY_FILE, InFlight, files_of_dead_process, find_deadly
from retinue.pipeline.prediction.options import PredictOptions
from retinue.pipeline.prediction.predictor import Predictor, Result, as_model
from retinue.pipeline.prediction.results import FAILURES, Results, window_key
from retinue.pipeline.runs.progress import failure_lines
from retinue.pipeline.runs.run import Model
from retinue.pipeline.runs.split_file import read_split_file
from retinue.pipeline.runtimes import runtimes
from retinue.tasks.scores import counted
from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

STREAM_WINDOW = 2.0  # seconds


@dataclass
class PredictSummary:
    """What a call of `predict` did.

    Attributes:
        images: the number of predictions that were made.
        failures: the number of files that could not be read.
        skipped: the number of files that an earlier call predicted.
        seconds: the time from the first file to the last line, without loading the model.
        decode_seconds: the time that was spent waiting for decoded files.
        model_seconds: the time that was spent waiting for the model, which works while files are decoded.
        write_seconds: the time that was spent writing.
        noun: what is counted, in the plural: "images", "clips" or "windows".
    """

    images: int = 0
    failures: int = 0
    skipped: int = 0
    seconds: float = 0.0
    decode_seconds: float = 0.0
    model_seconds: float = 0.0
    write_seconds: float = 0.0
    noun: str = "images"

    @property
    def files_per_second(self) -> float:
        """The number of images and failures per second."""
        return (self.images + self.failures) / self.seconds if self.seconds else 0.0

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 3 if some files could not be read, else 0."""
        return 3 if self.failures else 0

    def __str__(self) -> str:
        """Return the line for the screen."""
        skipped = f" ({self.skipped:,} were predicted before)" if self.skipped else ""
        return (
            f"{self.images:,} {self.noun}{skipped}, {self.failures:,} failures, "
            f"{self.files_per_second:,.0f} {self.noun}/s: "
            f"waited {self.decode_seconds:.1f} s for decoding, {self.model_seconds:.1f} s for the model, "
            f"writing {self.write_seconds:.1f} s"
        )


class FilePredictor(Protocol):
    """What `predict` needs of an engine; see `Predictor`, `RayPredictor` and `SlidingPredictor`."""

    task: Task
    decode_seconds: float
    model_seconds: float

    def __call__(self, files: Iterable[str], /) -> Iterator[Result]:
        """Yield a result for each file, in the order of the files."""
        ...


def predict(
    model: str | os.PathLike[str] | Model,
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    options: PredictOptions | None = None,
    *,
    progress: Callable[[PredictSummary], Any] | None = None,
    **fields: Any,
) -> PredictSummary:
    """Run a model over files and write its predictions into a folder (see results.py).

    Files for which the folder holds a prediction already are skipped. Files that failed are tried again. After a
    KeyboardInterrupt, the same call continues where it stopped.

    Args:
        model: a run folder or an export.
        sources: files, folders, patterns and lists; see `sources.find_files`. With a video model they may be cameras
            ("0") and streams ("rtsp://..."), and with `engine="ray"` addresses that fsspec reads
            ("s3://bucket/images").
        out: the folder of the results.
        options: the options.
        progress: a function that is called with the summary so far after each file.
        **fields: fields of `PredictOptions` that replace those of `options`.

    Returns:
        The summary.

    Raises:
        UsageError: there is no file to predict, the options do not fit the model, or `out` is a file or holds the
            predictions of another model.
        RetinueError: the model or the content of `out` is damaged, or the disk is full.
    """
    options = replace(options or PredictOptions(), **fields)
    shard = parse_shard(options.shard)
    _check_engine(options)
    model = as_model(model)
    streams, window = _streams(model, sources, options)
    other_sources = [source for source in sources if os.fspath(source) not in streams]
    found: Iterable[str] = ()
    if other_sources:
        is_remote_allowed = options.engine == "ray"
        found = find_files(other_sources, shard, exclude=out, clips=model.task.is_video, remote=is_remote_allowed)
    files = itertools.chain(streams, found)
    first = list(itertools.islice(files, 1))  # a missing source is reported before anything is loaded or written
    runtime, precision, why = runtimes.choose_for(model, options.runtime, options.precision)
    description: dict[str, Any] = {
        "model": str(model.folder),
        "fingerprint": model.fingerprint,
        "task": model.task.name,
        "runtime": runtime,
        "precision": precision,
    }
    if window:
        description |= {"window": window, "stride": options.stride or window}
    if options.crops and not model.task.has_boxes:
        raise UsageError(f"--crops: the model in {model.folder} predicts no boxes; use a detector, or omit --crops")
    image_ids = _image_ids(model) if set(options.formats) - {"jsonl", "csv"} else None
    writer = model.task.result_writer(model.class_ids, image_ids)
    if image_ids and len(set(image_ids.values())) < len(image_ids):
        first = [*first, *files]
        writer.check_ids(first)
    results = Results(out, description, options.formats, writer)
    suspects = _suspects(results)
    in_flight = InFlight(results.folder)
    summary = PredictSummary(noun="windows" if window else f"{model.task.record_noun}s")
    try:
        deadly = _record_deadly(model, suspects, results, summary)
        survivable = (file for file in itertools.chain(first, files) if file not in deadly)
        remaining = survivable if window else _without_predicted(survivable, results, summary)
        first = list(itertools.islice(remaining, 1))
        if first:  # else all files are predicted, and the model need not be loaded
            if model.warning:
                logger.warning(model.warning)
            logger.info(why)
            with _start_engine(model, runtime, precision, options, in_flight) as predictor:
                if window:
                    predictor = _sliding(predictor, window, options.stride, results, summary)
                _write_all(predictor, itertools.chain(first, remaining), results, summary, options, progress)
    except BaseException as error:
        in_flight.close()
        interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(RetinueError):  # on a full disk, closing fails, too; the first error is reported
            results.close("interrupted" if interrupted else "failed", **asdict(summary))
        if interrupted:
            done = summary.images + summary.failures
            logger.warning(f"interrupted after {done:,} {summary.noun}; run the same command again to continue")
        raise
    in_flight.close()
    results.close(**asdict(summary))
    logger.info(str(summary))
    for line in failure_lines(results.failures(), results.folder / FAILURES):
        logger.warning(line)
    if options.overlay and summary.skipped:
        logger.warning(
            f"--overlay draws only the files of this run. The {summary.skipped:,} files that were predicted before are "
            "not drawn; use another --out to draw all"
        )
    return summary


def _check_engine(options: PredictOptions) -> None:
    """Raise UsageError for an unknown engine, or options that the engine does not have."""
    if options.engine not in ENGINES:
        raise UsageError(f"--engine {options.engine}: unknown; use one of {', '.join(ENGINES)}")
    if options.engine == "ray":
        if options.window:
            raise UsageError("--engine ray: it predicts whole files; --window needs --engine local")
        return
    for option, value in (("--address", options.address), ("--num-workers", options.num_workers)):
        if value is not None:
            raise UsageError(f"{option} {value}: this option needs --engine ray")


def _start_engine(
    model: Model, runtime: str, precision: str, options: PredictOptions, in_flight: InFlight
) -> "AbstractContextManager[FilePredictor]":
    """Return the predictor of the engine, as a context at whose end it is closed."""
    if options.engine == "local":
        return contextlib.nullcontext(Predictor(model, runtime, precision, options.batch_size, in_flight))
    from retinue.pipeline.prediction.ray_engine import RayPredictor

    return contextlib.closing(
        RayPredictor(model, runtime, precision, options.batch_size, options.address, options.num_workers)
    )


def _suspects(results: Results) -> list[str]:
    """Return the files that were being read when an earlier run died, and those that killed one before."""
    known = [file for file, reason in results.failures() if reason.startswith(KILLED_BY_FILE)]
    files = [*known, *files_of_dead_process(results.folder)]
    return [file for file in dict.fromkeys(files) if file not in results and not is_stream(file)]


def _record_deadly(model: Model, suspects: Sequence[str], results: Results, summary: PredictSummary) -> set[str]:
    """Find the files that kill the process that reads them, and record them as failures. Returns them."""
    if not suspects:
        return set()
    logger.info(f"an earlier run died while it read files; reading {counted(len(suspects), 'file')} of it separately")
    deadly = find_deadly(model.folder, suspects)
    for file, reason in deadly.items():
        results.write(Result(file, reason=reason))
        summary.failures += 1
    return set(deadly)


def _streams(
    model: Model, sources: Sequence[str | os.PathLike[str]], options: PredictOptions
) -> tuple[list[str], float | None]:
    """Return the sources that are cameras or streams, which Ray does not have, and the seconds of a window, or None.

    Raises:
        UsageError: the options do not fit the model.
    """
    from retinue.pipeline.prediction.sliding_windows import check_window

    check_window(options.window, options.stride)
    if not model.task.is_video:
        if options.window:
            raise UsageError(f"--window: the model in {model.folder} is not a video model; omit --window")
        return [], None
    if options.overlay:
        raise UsageError("--overlay: it draws on images, but this is a video model; omit --overlay")
    paths = [os.fspath(source) for source in sources]
    streams = [path for path in paths if options.engine == "local" and is_stream(path)]
    return streams, options.window or (STREAM_WINDOW if streams else None)


def _sliding(
    predictor: FilePredictor, window: float, stride: float | None, results: Results, summary: PredictSummary
) -> FilePredictor:
    """Return a predictor that predicts windows, without those that are predicted already. It counts them."""
    from retinue.pipeline.prediction.sliding_windows import SlidingPredictor

    def is_predicted(result: Result) -> bool:
        assert result.start is not None and result.end is not None
        known = window_key(result.file, result.start, result.end) in results
        summary.skipped += known
        return known

    assert isinstance(predictor, Predictor)  # Ray has no windows
    return SlidingPredictor(predictor, window, stride, is_predicted)


def _without_predicted(files: Iterable[str], results: Results, summary: PredictSummary) -> Iterator[str]:
    """Yield the files that are not predicted already, and count the others."""
    for file in files:
        if file in results:
            summary.skipped += 1
        else:
            yield file


def _image_ids(model: Model) -> dict[str, int | str]:
    """Return the ids that the training data gave its images, by absolute path."""
    return {row.file: row.image_id for row in read_split_file(model.folder) if row.file and row.image_id is not None}


def _write_all(
    predictor: FilePredictor,
    files: Iterable[str],
    results: Results,
    summary: PredictSummary,
    options: PredictOptions,
    progress: Callable[[PredictSummary], Any] | None,
) -> None:
    """Predict the files and write the results, and keep the summary up to date."""
    started = time.perf_counter()
    predicted = predictor(files)
    if options.overlay:
        from retinue.pipeline.prediction.overlays import with_overlays

        predicted = with_overlays(predicted, predictor.task, results.folder / "overlays")
    if options.crops:
        from retinue.pipeline.prediction.crops import with_crops

        predicted = with_crops(predicted, results.folder / "crops", pixel_range=predictor.task.config.data.pixel_range)
    for result in predicted:
        before = time.perf_counter()
        results.write(result)
        now = time.perf_counter()
        summary.write_seconds += now - before
        summary.seconds = now - started
        summary.decode_seconds, summary.model_seconds = predictor.decode_seconds, predictor.model_seconds
        if result.reason:
            summary.failures += 1
        else:
            summary.images += 1
        if progress:
            progress(summary)
