"""A model over files: read and decoded in threads, run in batches, written as they are done."""

import contextlib
import hashlib
import itertools
import os
import stat
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from retinue.configs.errors import RetinueError
from retinue.data import image_file
from retinue.data.files import atomic_write
from retinue.pipeline import runtimes
from retinue.pipeline.results import Results
from retinue.pipeline.sources import find_files, parse_shard

BATCHES_AHEAD = 3  # decoded or being decoded while the model works; bounds the memory
OVERLAYS_AHEAD = 16
LABEL_COLUMNS = 5  # of the CSV


@dataclass(frozen=True, slots=True)
class Result:
    """One file: width and height in pixels as one looks at it (EXIF applied), and the task's prediction, or the reason
    why there is none (then the other three are None)."""

    file: str
    width: int = None
    height: int = None
    prediction: dict = None
    reason: str = None


@dataclass
class Summary:
    """What a run of `predict` did. seconds: from the first file to the last line, without loading the model;
    decode_seconds: waiting for decoded files, while they were not hidden behind the model; model_seconds and
    write_seconds: in the model and in writing. skipped: files that were done before."""

    images: int = 0
    failures: int = 0
    skipped: int = 0
    seconds: float = 0.0
    decode_seconds: float = 0.0
    model_seconds: float = 0.0
    write_seconds: float = 0.0

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
            f"{self.images:,} images{done}, {self.failures:,} failures, {self.rate:,.0f} images/s: "
            f"waited {self.decode_seconds:.1f} s for decoding, model {self.model_seconds:.1f} s, "
            f"writing {self.write_seconds:.1f} s"
        )


class Predictor:
    """A model, ready to run over files.

    model: the path of a run folder or of an export, or the `Model` that `run.open_model` gives.
    runtime: "auto", "tensorflow" or "openvino"; precision: "auto", "f32" or "bf16"; see `runtimes.choose`.
    batch: pictures a call of the model, by default the configuration's `evaluate.batch_size`.
    say: called with the line that tells what was chosen.
    Raises UsageError for a runtime or precision that can't be had.
    """

    def __init__(self, model, runtime="auto", precision="auto", batch=None, say=None):
        model = _opened(model)
        runtime, precision, why = runtimes.choose(runtime, precision, runtimes.offered(model))
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
        self.task, self.runtime = task, runtime
        self.batch = batch or task.config.evaluate.batch_size
        self.decode_seconds = self.model_seconds = 0.0
        self._reader = Reader(task)

    def __call__(self, files):
        """Yield a `Result` a file, in the order of `files` (iterable of paths), which is read as it is needed.

        A file that can't be read gives a reason and costs no other file anything.
        """
        files, waiting = iter(files), deque()
        pool = ThreadPoolExecutor(runtimes.usable_cores(), "decode")
        try:
            while True:
                for file in itertools.islice(files, BATCHES_AHEAD * self.batch - len(waiting)):
                    waiting.append((os.fspath(file), pool.submit(self._reader, os.fspath(file))))
                if not waiting:
                    return
                started = time.perf_counter()
                read = [(file, *future.result()) for file, future in itertools.islice(waiting, self.batch)]
                for _ in read:
                    waiting.popleft()
                self.decode_seconds += time.perf_counter() - started
                yield from self._results(read)
        finally:
            pool.shutdown(cancel_futures=True)

    def _results(self, read):
        tensors = [tensors for _, tensors, _, _ in read if tensors]
        predictions = iter(self.predict_tensors(tensors) if tensors else ())
        for file, tensors, size, reason in read:
            if tensors:
                yield Result(file, *size, prediction=next(predictions))
            else:
                yield Result(file, reason=reason)

    def predict_tensors(self, tensors):
        """A list of what `task.read` gives, as arrays, -> a list of predictions."""
        started = time.perf_counter()
        outputs = self.runtime({name: np.stack([one[name] for one in tensors]) for name in tensors[0]})
        self.model_seconds += time.perf_counter() - started
        return self.task.postprocess(outputs)


class Reader:
    """Files to what the model takes, by the task's own `read`. Called from several threads.

    Called with a path: (dict of arrays, (width, height), None), or (None, None, reason in plain words).
    """

    def __init__(self, task):
        import tensorflow as tf

        self._max_pixels = task.config.data.max_pixels
        self._read = tf.function(task.read, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)

    def __call__(self, file):
        import tensorflow as tf
        from retinue.data.decode import encoded_bytes

        try:
            size = image_size(file)
            if size[0] * size[1] > self._max_pixels:
                return None, None, _reason(file, self._max_pixels, "too large")
            tensors = self._read(tf.constant(encoded_bytes(file)))
            return {name: tensor.numpy() for name, tensor in tensors.items()}, size, None
        except Exception as error:  # whatever a decoder makes of broken bytes: it is this file's reason, and no more
            return None, None, _reason(file, self._max_pixels, str(error))


def image_size(file):
    """(width, height) in pixels of an image file, upright by its EXIF, from its header.

    Raises OSError when it can't be read, ValueError when it is no image, and anything when its header is broken.
    """
    from PIL import TiffImagePlugin

    if not stat.S_ISREG(os.stat(file).st_mode):  # opening a pipe would wait for its writer
        raise ValueError("not a regular file")
    with open(file, "rb") as opened:
        form = image_file.format_of(opened.read(16))
        if not form:
            raise ValueError("no image format that is known")
        opened.seek(0)
        image = image_file.OPENERS.get(form, TiffImagePlugin.TiffImageFile)(opened)
        turned = form != "TIFF" and "exif" in image.info and image.getexif().get(image_file.ORIENTATION_TAG, 1)
        return (image.height, image.width) if turned in (5, 6, 7, 8) else (image.width, image.height)


def predict(
    model,
    sources,
    out,
    *,
    runtime="auto",
    precision="auto",
    formats=("jsonl",),
    overlay=False,
    batch=None,
    shard=None,
    say=print,
    progress=None,
):
    """Run a model over files and write what it says into the folder `out`, line by line (see results.py).

    model: path of a run folder or an export. sources: see `sources.find_files`; shard: "I/N".
    overlay: also write each picture with its prediction drawn on it into `out/overlays`.
    progress: called with the `Summary` so far after every file.
    What `out` holds already is not done again, unless it failed. Gives the final `Summary`.
    Raises UsageError when there is no file to predict or `out` holds another model's predictions. When it is
    interrupted, the same call goes on from there.
    """
    files = find_files(sources, parse_shard(shard), skip=out, say=say)
    first = list(itertools.islice(files, 1))  # no file, or no such source: said before anything is loaded or made
    model = _opened(model)
    runtime, precision, _ = runtimes.choose(runtime, precision, runtimes.offered(model))
    made_by = {
        "model": str(model.folder),
        "fingerprint": fingerprint(model.folder),
        "task": model.task.name,
        "runtime": runtime,
        "precision": precision,
    }
    results = Results(out, made_by, formats, label_columns=min(LABEL_COLUMNS, len(model.classes)))
    summary = Summary()
    try:
        todo = _not_done(itertools.chain(first, files), results, summary)
        for next_one in itertools.islice(todo, 1):  # nothing left to do: the model need not be loaded
            predictor = Predictor(model, runtime, precision, batch, say)
            _write_all(predictor, itertools.chain([next_one], todo), results, summary, overlay, progress)
    except BaseException as error:
        with contextlib.suppress(RetinueError):  # a full disk hinders the closing, too; the first error is the one
            results.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", **asdict(summary))
        raise
    results.close(**asdict(summary))
    say(str(summary))
    return summary


def outputs_function(model, runtime="auto", precision="auto"):
    """What runs a `Model` of run.py: a function from a batch of `task.read`'s tensors to a dict of output arrays."""
    runtime, precision, _ = runtimes.choose(runtime, precision, runtimes.offered(model))
    return runtimes.load(model, runtime, precision)


def fingerprint(folder):
    """A hash of the files that decide what a model says, the same wherever the folder is copied to."""
    folder, digest = Path(folder), hashlib.sha256()
    decisive = ["config.yaml", "classes.json", "best.weights.h5", "saved_model.pb", "model.xml", "model.bin"]
    for path in [folder / name for name in decisive] + sorted(folder.glob("variables/*")):
        if path.is_file():
            with open(path, "rb") as opened:
                digest.update(path.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def _opened(model):
    from retinue.pipeline.run import open_model

    return open_model(model) if isinstance(model, (str, os.PathLike)) else model


def _not_done(files, results, summary):
    for file in files:
        if file in results:
            summary.skipped += 1
        else:
            yield file


def _write_all(predictor, files, results, summary, overlay, progress):
    started = time.perf_counter()
    predicted = predictor(files)
    if overlay:
        predicted = _with_overlays(predicted, predictor.task, results.folder / "overlays")
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


def _with_overlays(predicted, task, folder):
    """Pass results on in their order, each after its overlay is written."""
    waiting = deque()
    pool = ThreadPoolExecutor(runtimes.usable_cores(), "overlay")
    try:
        for result in predicted:
            waiting.append((result, None if result.reason else pool.submit(_write_overlay, result, task, folder)))
            if len(waiting) > OVERLAYS_AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(result, overlay):
    if overlay:
        overlay.result()
    return result


def _write_overlay(result, task, folder):
    """`folder/<path of the file>.jpg`. A file that vanished meanwhile has no overlay."""
    import cv2
    import tensorflow as tf
    from retinue.data.decode import decode_image, encoded_bytes

    try:
        image = decode_image(tf.constant(encoded_bytes(result.file))).numpy()
    except (OSError, tf.errors.OpError):
        return
    picture = cv2.cvtColor(task.draw(image, result.prediction), cv2.COLOR_RGB2BGR)
    parts = [part for part in Path(result.file).parts if part not in (os.sep, "..", Path(result.file).anchor)]
    name = os.path.join(*parts)
    name = name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg"
    atomic_write(folder / name, cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def _reason(file, max_pixels, otherwise):
    """Why a file can't be used, in plain words."""
    bad = image_file.probe(file, max_pixels).bad
    if bad:
        kind, reason, cure = bad
        return f"{kind}: {reason}; {cure}"
    return f"can't be decoded: {otherwise.splitlines()[0] if otherwise else 'no reason given'}"
