"""A model over files: read and decoded in threads, run in batches, written as they are done."""

import contextlib
import itertools
import logging
import os
import time
from dataclasses import asdict, dataclass

from retinue.configs.choices import ENGINES
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import is_stream
from retinue.pipeline.inputs.sources import find_files, parse_shard
from retinue.pipeline.prediction.predictor import Predictor, opened
from retinue.pipeline.prediction.results import FAILURES, Results, identity
from retinue.pipeline.runs.progress import failure_lines
from retinue.pipeline.runs.split_file import read_split_file
from retinue.pipeline.runtimes import runtimes

logger = logging.getLogger(__name__)

STREAM_WINDOW = 2.0  # seconds


@dataclass
class Summary:
    """What a run of `predict` did. noun: of what (images, clips, windows). seconds: from first file to last line,
    without loading the model; decode_seconds and model_seconds: waiting for decoded files and for the
    model, which work at the same time; write_seconds: in writing. skipped: what was done before."""

    images: int = 0
    failures: int = 0
    skipped: int = 0
    seconds: float = 0.0
    decode_seconds: float = 0.0
    model_seconds: float = 0.0
    write_seconds: float = 0.0
    noun: str = "images"

    @property
    def rate(self):
        """Images and failures a second."""
        return (self.images + self.failures) / self.seconds if self.seconds else 0.0

    @property
    def exit_code(self):
        """3 when some files could not be read, else 0."""
        return 3 if self.failures else 0

    def __str__(self):
        done = f" ({self.skipped:,} were done before)" if self.skipped else ""
        return (
            f"{self.images:,} {self.noun}{done}, {self.failures:,} failures, {self.rate:,.0f} {self.noun}/s: "
            f"waited {self.decode_seconds:.1f} s for decoding, {self.model_seconds:.1f} s for the model, "
            f"writing {self.write_seconds:.1f} s"
        )


def predict(
    model,
    sources,
    out,
    *,
    runtime="auto",
    precision="auto",
    formats=("jsonl",),
    overlay=False,
    crops=False,
    batch=None,
    shard=None,
    window=None,
    step=None,
    engine="local",
    address=None,
    workers=None,
    progress=None,
):
    """Run a model over files and write what it says into the folder `out`, line by line (see results.py).

    model: path of a run folder or an export. sources: see `sources.find_files`; shard: "I/N".
    overlay: also write each picture of this call with its prediction drawn on it into `out/overlays`; what was done
    before is not drawn. crops: also cut out what is detected in each, into `out/crops`.
    window, step: with a net for clips, answer for every window of so many seconds, which start so many apart (by
    default they follow each other), instead of for each video as a whole. Then sources may be cameras ("0") and
    streams ("rtsp://..."), too, which have windows of 2 seconds by default.
    engine: "local", this process; or "ray", `workers` processes on this machine or on the Ray cluster at `address`, see
    ray_engine.py. Then sources may also be addresses that fsspec reads ("s3://bucket/photos").
    progress: called with the `Summary` so far after every file.
    What `out` holds already is not done again, unless it failed. Gives the final `Summary`.
    Raises UsageError when there is no file to predict, or `out` is a file or holds another model's predictions, and
    RetinueError when the model or what `out` holds is damaged. When it is interrupted (KeyboardInterrupt), the same
    call goes on from there.
    """
    shard = parse_shard(shard)
    _check_engine(engine, address, workers, window)
    model = opened(model)
    streams, window = _streams(model, sources, window, step, overlay, engine)
    others = [source for source in sources if source not in streams]
    files = find_files(others, shard, skip=out, clips=model.task.is_video, remote=engine == "ray") if others else ()
    files = itertools.chain(streams, files)
    first = list(itertools.islice(files, 1))  # no file, or no such source: said before anything is loaded or made
    runtime, precision, why = runtimes.choose_for(model, runtime, precision)
    made_by = {
        "model": str(model.folder),
        "fingerprint": model.fingerprint,
        "task": model.task.name,
        "runtime": runtime,
        "precision": precision,
    }
    if window:
        made_by |= {"window": window, "step": step or window}
    if crops and not model.task.has_boxes:
        raise UsageError(f"--crops: {model.folder} finds no boxes; only a detector does")
    image_ids = _image_ids(model) if set(formats) - {"jsonl", "csv"} else None
    results = Results(out, made_by, formats, model.task.result_writer(model.class_ids, image_ids))
    summary = Summary(noun="windows" if window else f"{model.task.record_noun}s")
    try:
        todo = itertools.chain(first, files) if window else _not_done(itertools.chain(first, files), results, summary)
        first = list(itertools.islice(todo, 1))
        if first:  # else there is nothing left to do, and the model need not be loaded
            if model.warning:
                logger.warning(model.warning)
            logger.info(why)
            with _started(engine, model, runtime, precision, batch, address, workers) as predictor:
                if window:
                    from retinue.pipeline.prediction.sliding_windows import SlidingPredictor

                    predictor = SlidingPredictor(predictor, window, step, _known(results, summary))
                _write_all(predictor, itertools.chain(first, todo), results, summary, overlay, crops, progress)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(RetinueError):  # a full disk hinders the closing, too; the first error is the one
            results.close("interrupted" if interrupted else "failed", **asdict(summary))
        if interrupted:
            done = summary.images + summary.failures
            logger.warning(f"interrupted after {done:,} {summary.noun}; run the same command again to go on")
        raise
    results.close(**asdict(summary))
    logger.info(str(summary))
    for line in failure_lines(results.failures(), results.folder / FAILURES):
        logger.warning(line)
    if overlay and summary.skipped:
        logger.warning(
            f"--overlay draws the files of this run; the {summary.skipped:,} that were done before are not drawn, "
            "give another --out to draw all"
        )
    return summary


def _check_engine(engine, address, workers, window):
    """Raise UsageError for what can't be done by an engine."""
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine}: unknown; use one of {', '.join(ENGINES)}")
    if engine == "ray":
        if window:
            raise UsageError("--engine ray: answers for whole files; --window is for --engine local")
        return
    for option, value in (("--address", address), ("--num-workers", workers)):
        if value is not None:
            raise UsageError(f"{option} {value}: is for --engine ray")


def _started(engine, model, runtime, precision, batch, address, workers):
    """The predictor of an engine, as a context in which it lives."""
    if engine == "local":
        return contextlib.nullcontext(Predictor(model, runtime, precision, batch))
    from retinue.pipeline.prediction.ray_engine import RayPredictor

    return contextlib.closing(RayPredictor(model, runtime, precision, batch, address, workers))


def _streams(model, sources, window, step, overlay, engine):
    """(the sources that are cameras or streams, the seconds of a window or None); Ray has none. Raises UsageError."""
    from retinue.pipeline.prediction.sliding_windows import check_window

    check_window(window, step)
    if not model.task.is_video:
        if window:
            raise UsageError(f"--window: {model.folder} is no model for video")
        return [], None
    if overlay:
        raise UsageError("--overlay: draws on pictures; this model is for video")
    streams = [source for source in map(os.fspath, sources) if engine == "local" and is_stream(source)]
    return streams, window or (STREAM_WINDOW if streams else None)


def _known(results, summary):
    """Whether a window's `Result` is in `results` already; counts those that are."""

    def known(result):
        found = identity(result.file, result.start, result.end) in results
        summary.skipped += found
        return found

    return known


def _not_done(files, results, summary):
    for file in files:
        if file in results:
            summary.skipped += 1
        else:
            yield file


def _image_ids(model):
    """{absolute path: id} of the pictures that the run's data had ids for."""
    return {row.file: row.image_id for row in read_split_file(model.folder) if row.file and row.image_id is not None}


def _write_all(predictor, files, results, summary, overlay, crops, progress):
    started = time.perf_counter()
    predicted = predictor(files)
    if overlay:
        from retinue.pipeline.prediction.overlays import with_overlays

        predicted = with_overlays(predicted, predictor.task, results.folder / "overlays")
    if crops:
        from retinue.pipeline.prediction.crops import with_crops

        predicted = with_crops(predicted, results.folder / "crops")
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
