"""A model over files: read and decoded in threads, run in batches, written as they are done."""

import contextlib
import csv
import itertools
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import usable_cores
from retinue.data.clip_file import is_stream
from retinue.pipeline import runtimes
from retinue.pipeline.model_files import fingerprint
from retinue.pipeline.progress import failure_lines
from retinue.pipeline.results import FAILURES, Results, identity
from retinue.pipeline.sources import find_files, parse_shard
from retinue.pipeline.streams import finished

CPU_BATCH = 8  # what a layer makes of so many pictures stays in the cache: a tenth faster than 32 on both runtimes
BATCHES_AHEAD = 3  # decoded or being decoded while the model works; bounds the memory
LABEL_COLUMNS = 5  # of the CSV
STREAM_WINDOW = 2.0  # seconds
ENGINES = ("local", "ray")


@dataclass(frozen=True, slots=True)
class Result:
    """One file: width and height in pixels as one looks at it (EXIF applied), and the task's prediction, or the reason
    why there is none (then the others are None). start, end: seconds, of a window of a video."""

    file: str
    width: int = None
    height: int = None
    prediction: dict = None
    reason: str = None
    start: float = None
    end: float = None


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


class Predictor:
    """A model, ready to run over files.

    model: the path of a run folder or of an export, or the `Model` that `run.open_model` gives.
    runtime: "auto", or one of `runtimes.PRECISIONS`; precision: "auto", "f32" or "bf16"; see `runtimes.choose`.
    batch: pictures a call of the model, by default the configuration's `evaluate.batch_size`, and at most 8 on a CPU, 1
    for a detector.
    say: called with the line that tells what was chosen.
    Raises UsageError for a runtime or precision that can't be had.
    """

    def __init__(self, model, runtime="auto", precision="auto", batch=None, say=None):
        model = _opened(model)
        runtime, precision, why = runtimes.choose_for(model, runtime, precision)
        if say:
            say(why)
        self._set_up(model.task, runtimes.load(model, runtime, precision), batch)

    @classmethod
    def of(cls, task, model, runtime="tensorflow", precision="f32", batch=None):
        """A Predictor for a Keras model in memory, with its weights as they are now."""
        inference = task.inference(model)
        predictor = cls.__new__(cls)
        predictor._set_up(task, runtimes.start(runtimes.trace(inference), inference, runtime, precision), batch)
        return predictor

    def _set_up(self, task, runtime, batch):
        from retinue.pipeline.reader import ClipReader, Reader

        self.task, self.runtime = task, runtime
        self._run = task.around(runtime)
        self.batch = batch or _best_batch(runtime, task)
        if self._run is not runtime:  # what a task calls in pieces is large: few should be decoded ahead
            self.batch = 1
        self.decode_seconds = self.model_seconds = 0.0
        self._reader = ClipReader(task) if task.takes_clips else Reader(task)

    def __call__(self, files):
        """Yield a `Result` a file, in the order of `files` (iterable of paths), which is read as it is needed.

        A file that can't be read gives a reason and costs no other file anything.
        """
        files, decoding, asked = iter(files), deque(), deque()
        pool = ThreadPoolExecutor(usable_cores(), "decode")
        try:
            while True:
                for file in itertools.islice(files, BATCHES_AHEAD * self.batch - len(decoding)):
                    decoding.append((os.fspath(file), pool.submit(self._reader, os.fspath(file))))
                if decoding:
                    asked.append(self._ask(decoding))
                if len(asked) > self.runtime.streams or not decoding:
                    if not asked:
                        return
                    yield from self._answers(*asked.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, decoding):
        """Take a batch from the files that are being decoded, and hand it to the runtime: (what was read, outputs)."""
        started = time.perf_counter()
        read, first = [], None
        while decoding and len(read) < self.batch:
            file, future = decoding[0]
            result = future.result()
            if self.task.own_sizes and result[0]:
                if first and not same_sizes(first, result[0]):
                    break
                first = result[0]
            read.append((file, *result))
            decoding.popleft()
        decoded = time.perf_counter()
        tensors = [tensors for _, tensors, _, _ in read if tensors]
        outputs = self._submit(stacked(tensors, self.task.padding(training=False))) if tensors else None
        self.decode_seconds += decoded - started
        self.model_seconds += time.perf_counter() - decoded
        return read, outputs

    def _submit(self, inputs):
        """A future of the outputs."""
        if self._run is self.runtime:
            return self.runtime.submit(inputs)
        return finished(self._run(inputs))

    def _answers(self, read, outputs):
        started = time.perf_counter()
        predictions = iter(self.task.postprocess(outputs.result()) if outputs else ())
        self.model_seconds += time.perf_counter() - started
        for file, tensors, size, reason in read:
            if tensors:
                yield Result(file, *size, prediction=next(predictions))
            else:
                yield Result(file, reason=reason)

    def read(self, file):
        """What the model takes of a file, as arrays, or None where it can't be read."""
        return self._reader(file)[0]

    def outputs(self, tensors):
        """A list of what `read` gives -> what the model gives for all of them, a dict of arrays."""
        return self._run(stacked(tensors, self.task.padding(training=False)))

    def submit(self, tensors):
        """A future of these outputs; so many as `runtime.streams` are under way at a time."""
        return self._submit(stacked(tensors, self.task.padding(training=False)))

    def predict_tensors(self, tensors):
        """A list of what `read` gives -> a list of predictions."""
        return self.task.postprocess(self.outputs(tensors))


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
    say=print,
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
    model = _opened(model)
    streams, window = _streams(model, sources, window, step, overlay, engine)
    others = [source for source in sources if source not in streams]
    files = (
        find_files(others, shard, skip=out, say=say, clips=model.task.takes_clips, remote=engine == "ray")
        if others
        else ()
    )
    files = itertools.chain(streams, files)
    first = list(itertools.islice(files, 1))  # no file, or no such source: said before anything is loaded or made
    runtime, precision, why = runtimes.choose_for(model, runtime, precision)
    made_by = {
        "model": str(model.folder),
        "fingerprint": fingerprint(model.folder),
        "task": model.task.name,
        "runtime": runtime,
        "precision": precision,
    }
    if window:
        made_by |= {"window": window, "step": step or window}
    if crops and model.task.name != "detection":
        raise UsageError(f"--crops: {model.folder} finds no boxes; only a detector does")
    results = Results(
        out,
        made_by,
        formats,
        label_columns=min(LABEL_COLUMNS, len(model.classes)),
        category_ids=dict(zip(model.classes, model.class_ids, strict=True)) if model.class_ids else None,
        image_ids=_image_ids(model) if "coco" in formats else None,
        classes=model.classes,
    )
    summary = Summary(noun="windows" if window else "clips" if model.task.takes_clips else "images")
    try:
        todo = itertools.chain(first, files) if window else _not_done(itertools.chain(first, files), results, summary)
        first = list(itertools.islice(todo, 1))
        if first:  # else there is nothing left to do, and the model need not be loaded
            if model.warning:
                say(model.warning)
            say(why)
            with _started(engine, model, runtime, precision, batch, address, workers, say) as predictor:
                if window:
                    from retinue.pipeline.sliding import SlidingPredictor

                    predictor = SlidingPredictor(predictor, window, step, _known(results, summary))
                _write_all(predictor, itertools.chain(first, todo), results, summary, overlay, crops, progress)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(RetinueError):  # a full disk hinders the closing, too; the first error is the one
            results.close("interrupted" if interrupted else "failed", **asdict(summary))
        if interrupted:
            done = summary.images + summary.failures
            say(f"interrupted after {done:,} {summary.noun}; run the same command again to go on")
        raise
    results.close(**asdict(summary))
    say(str(summary))
    for line in failure_lines(results.failures(), results.folder / FAILURES):
        say(line)
    if overlay and summary.skipped:
        say(
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
    for option, value in (("--address", address), ("--workers", workers)):
        if value is not None:
            raise UsageError(f"{option} {value}: is for --engine ray")


def _started(engine, model, runtime, precision, batch, address, workers, say):
    """The predictor of an engine, as a context in which it lives."""
    if engine == "local":
        return contextlib.nullcontext(Predictor(model, runtime, precision, batch))
    from retinue.pipeline.ray_engine import RayPredictor

    return contextlib.closing(RayPredictor(model, runtime, precision, batch, address, workers, say))


def _streams(model, sources, window, step, overlay, engine):
    """(the sources that are cameras or streams, the seconds of a window or None); Ray has none. Raises UsageError."""
    from retinue.pipeline.sliding import check_window

    check_window(window, step)
    if not model.task.takes_clips:
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


def outputs_function(model, runtime="auto", precision="auto"):
    """What runs a `Model` of run.py: a function from a batch of `task.read`'s tensors to a dict of output arrays."""
    runtime, precision, _ = runtimes.choose_for(model, runtime, precision)
    return runtimes.load(model, runtime, precision)


def stacked(tensors, padding=None):
    """A list of what `task.read` gives, as arrays, -> a batch. padding: what `task.padding` says of tensors that differ
    in size; they are filled up at their ends to the largest."""
    if padding is None:
        return {name: np.stack([one[name] for one in tensors]) for name in tensors[0]}
    batch = {}
    for name in tensors[0]:
        arrays = [one[name] for one in tensors]
        largest = np.max([array.shape for array in arrays], axis=0)
        batch[name] = np.full((len(arrays), *largest), padding[name], arrays[0].dtype)
        for row, array in enumerate(arrays):
            batch[name][(row, *map(slice, array.shape))] = array
    return batch


def same_sizes(one, other):
    """Whether two of what `task.read` gives, as arrays, have the same shapes and the same sizes written in them."""
    return all(
        array.shape == other[name].shape and (array.ndim > 1 or np.array_equal(array, other[name]))
        for name, array in one.items()
    )


def _opened(model):
    from retinue.pipeline.run import open_model

    return open_model(model) if isinstance(model, (str, os.PathLike)) else model


def _best_batch(runtime, task):
    import tensorflow as tf

    on_gpu = runtime.name == "tensorflow" and tf.config.list_physical_devices("GPU")
    configured = task.config.evaluate.batch_size
    if on_gpu:
        return configured
    # Large pictures that differ in size are as fast one by one, padded to none other, and in half the memory.
    return 1 if task.padding(training=False) else min(configured, CPU_BATCH)


def _not_done(files, results, summary):
    for file in files:
        if file in results:
            summary.skipped += 1
        else:
            yield file


def _image_ids(model):
    """{absolute path: id} of the pictures that the run's data had ids for."""
    listed = model.folder / "split.csv"
    if not listed.is_file():
        return {}
    with open(listed, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("file") and row.get("image_id")]
    return {row["file"]: int(row["image_id"]) if row["image_id"].isdigit() else row["image_id"] for row in rows}


def _write_all(predictor, files, results, summary, overlay, crops, progress):
    started = time.perf_counter()
    predicted = predictor(files)
    if overlay:
        from retinue.pipeline.overlays import with_overlays

        predicted = with_overlays(predicted, predictor.task, results.folder / "overlays")
    if crops:
        from retinue.pipeline.crops import with_crops

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
