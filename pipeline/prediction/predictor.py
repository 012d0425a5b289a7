"""A model that is ready to run over files: threads read and decode the files, and the model predicts in batches."""

import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.machine import usable_cores
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.pipeline.runtimes.batching import CPU_BATCH, have_same_sizes, stack_inputs
from retinue.pipeline.runtimes.concurrent_requests import Arrays, finished

if TYPE_CHECKING:
    from retinue.pipeline.prediction.in_flight import InFlight
    from retinue.pipeline.prediction.reader import ReadResult
    from retinue.pipeline.runs.run import Model
    from retinue.tasks.model import TaskModel
    from retinue.tasks.task import Prediction, Task

BATCHES_AHEAD = 3  # batches that are decoded while the model works; this bounds the memory

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one file, or of one window of a video.

    Attributes:
        file: the path.
        width: the width in pixels, after the EXIF orientation is applied; None if the file could not be read.
        height: the height in pixels, likewise.
        prediction: what `Task.postprocess` returned, or None if the file could not be read.
        reason: why there is no prediction, or None.
        start: the second at which the window starts, or None for a whole file.
        end: the second at which the window ends, or None for a whole file.
    """

    file: str
    width: int | None = None
    height: int | None = None
    prediction: "Prediction | None" = None
    reason: str | None = None
    start: float | None = None
    end: float | None = None


class Predictor:
    """A model that is ready to run over files.

    Args:
        model: the path of a run folder or an export, or what `run.open_model` returned.
        runtime: "auto" or a name of `choices.RUNTIMES`.
        precision: "auto" or a name of `choices.PRECISIONS`; see `runtimes.choose`.
        batch_size: the number of images in a batch. By default it is `evaluate.batch_size` of the configuration, on a
            CPU at most 8, and on a CPU 1 for images of different sizes, as a detector takes them.
        in_flight: where the files that are being read are noted, or None.

    Attributes:
        task: the task.
        runtime: the runtime.
        batch_size: the number of images in a batch.
        decode_seconds: the time that was spent waiting for decoded files.
        model_seconds: the time that was spent waiting for the model.

    Raises:
        UsageError: the runtime or the precision is not available.
    """

    def __init__(
        self,
        model: "str | os.PathLike[str] | Model",
        runtime: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        in_flight: "InFlight | None" = None,
    ) -> None:
        model = as_model(model)
        runtime, precision, _ = runtimes.choose_for(model, runtime, precision)
        self._set_up(model.task, runtimes.load(model, runtime, precision), batch_size)
        self._in_flight = in_flight

    @classmethod
    def from_keras(
        cls,
        task: "Task",
        model: "TaskModel",
        runtime: str = "tensorflow",
        precision: str = "f32",
        batch_size: int | None = None,
    ) -> "Predictor":
        """Return a predictor for a Keras model in memory, with the weights that it has now."""
        inference = task.inference(model)
        predictor = cls.__new__(cls)
        started = runtimes.start(tensorflow_runtime.trace(inference), inference, runtime, precision)
        predictor._set_up(task, started, batch_size)
        return predictor

    def _set_up(self, task: "Task", runtime: runtimes.Runtime, batch_size: int | None) -> None:
        from retinue.pipeline.prediction.reader import ClipReader, Reader

        self.task, self.runtime = task, runtime
        self._run = task.wrap_inference(runtime)
        self.batch_size = batch_size or _default_batch_size(runtime, task)
        if self._run is not runtime:  # a task that cuts images into tiles has large ones, so few are decoded ahead
            self.batch_size = 1
        self.decode_seconds = self.model_seconds = 0.0
        self._in_flight = None
        self._reader: ClipReader | Reader = ClipReader(task) if task.is_video else Reader(task)

    def __call__(self, files: Iterable[str | os.PathLike[str]]) -> Iterator[Result]:
        """Yield a result for each file, in the order of the files. A file that can't be read affects no other file.

        Args:
            files: paths. They are taken as they are needed.
        """
        files = iter(files)
        decoding: deque[tuple[str, Future[ReadResult]]] = deque()
        requests: deque[tuple[list[tuple[str, ReadResult]], Future[Outputs] | None]] = deque()
        pool = ThreadPoolExecutor(usable_cores(), "decode")
        try:
            while True:
                for file in itertools.islice(files, BATCHES_AHEAD * self.batch_size - len(decoding)):
                    decoding.append((os.fspath(file), pool.submit(self._read, os.fspath(file))))
                if decoding:
                    requests.append(self._request_batch(decoding))
                if len(requests) > self.runtime.num_requests or not decoding:
                    if not requests:
                        return
                    yield from self._results(*requests.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def reading(self, file: str) -> contextlib.AbstractContextManager[None]:
        """Return a context within which a file is being read."""
        return self._in_flight.reading(file) if self._in_flight else contextlib.nullcontext()

    def _read(self, file: str) -> "ReadResult":
        with self.reading(file):
            return self._reader(file)

    def _request_batch(
        self, decoding: "deque[tuple[str, Future[ReadResult]]]"
    ) -> "tuple[list[tuple[str, ReadResult]], Future[Outputs] | None]":
        """Take a batch off the files that are being decoded, and submit it. Returns what was read, and the outputs."""
        started = time.perf_counter()
        batch: list[tuple[str, ReadResult]] = []
        first: Outputs | None = None
        while decoding and len(batch) < self.batch_size:
            file, future = decoding[0]
            read = future.result()
            if self.task.variable_size and read[0] is not None:
                if first is not None and not have_same_sizes(first, read[0]):
                    break
                first = read[0]
            batch.append((file, read))
            decoding.popleft()
        decoded = time.perf_counter()
        inputs = [read[0] for _, read in batch if read[0] is not None]
        outputs = self.submit(inputs) if inputs else None
        self.decode_seconds += decoded - started
        self.model_seconds += time.perf_counter() - decoded
        return batch, outputs

    def _results(self, batch: "list[tuple[str, ReadResult]]", outputs: "Future[Outputs] | None") -> Iterator[Result]:
        started = time.perf_counter()
        predictions = iter(self.task.postprocess(outputs.result()) if outputs else ())
        self.model_seconds += time.perf_counter() - started
        for file, (inputs, size, reason) in batch:
            if inputs is None or size is None:
                yield Result(file, reason=reason)
            else:
                yield Result(file, *size, prediction=next(predictions))

    def read(self, file: str) -> Outputs | None:
        """Return what the model takes of a file, as arrays without the batch axis, or None if it can't be read."""
        return self._reader(file)[0]

    def run(self, inputs: Sequence[Arrays]) -> Outputs:
        """Return the outputs of the model, arrays `[n, ...]`, for a list of n results of `read`."""
        return self._run(self._stack(inputs))

    def submit(self, inputs: Sequence[Arrays]) -> "Future[Outputs]":
        """Return a future of what `run` returns. `runtime.num_requests` of them may be in flight."""
        batch = self._stack(inputs)
        return self.runtime.submit(batch) if self._run is self.runtime else finished(self._run(batch))

    def predict(self, inputs: Sequence[Arrays]) -> "list[Prediction]":
        """Return the predictions for a list of results of `read`."""
        return self.task.postprocess(self.run(inputs))

    def _stack(self, inputs: Sequence[Arrays]) -> Outputs:
        return stack_inputs(inputs, self.task.padding(training=False))


def load_runtime(model: "Model", runtime: str = "auto", precision: str = "auto") -> runtimes.Runtime:
    """Return the runtime of a model: a function from a batch of what `task.read` returns to a dict of output arrays.

    Raises:
        UsageError: the runtime or the precision is not available.
    """
    runtime, precision, _ = runtimes.choose_for(model, runtime, precision)
    return runtimes.load(model, runtime, precision)


def as_model(model: "str | os.PathLike[str] | Model") -> "Model":
    """Return the model at a path, or the model itself if it is one."""
    from retinue.pipeline.runs.run import open_model

    return open_model(model) if isinstance(model, (str, os.PathLike)) else model


def _default_batch_size(runtime: Any, task: "Task") -> int:
    import tensorflow as tf

    configured = task.config.evaluate.batch_size
    if runtime.name == "tensorflow" and tf.config.list_physical_devices("GPU"):
        return configured
    # Large images of different sizes run as fast one by one, without padding and in half the memory.
    return 1 if task.padding(training=False) else min(configured, CPU_BATCH)
