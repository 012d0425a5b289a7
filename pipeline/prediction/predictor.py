"""A model, ready to run over files: they are read and decoded in threads, and answered in batches."""

import itertools
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from retinue.configs.machine import usable_cores
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.pipeline.runtimes.batching import CPU_BATCH, have_same_sizes, stack_inputs
from retinue.pipeline.runtimes.concurrent_requests import finished

BATCHES_AHEAD = 3  # decoded or being decoded while the model works; bounds the memory


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


class Predictor:
    """A model, ready to run over files.

    model: the path of a run folder or of an export, or the `Model` that `run.open_model` gives.
    runtime: "auto", or one of `choices.RUNTIMES`; precision: "auto", "f32" or "bf16"; see `runtimes.choose`.
    batch: pictures a call of the model, by default the configuration's `evaluate.batch_size`, and at most 8 on a CPU, 1
    for a detector.
    Raises UsageError for a runtime or precision that can't be had.
    """

    def __init__(self, model, runtime="auto", precision="auto", batch=None):
        model = opened(model)
        runtime, precision, _ = runtimes.choose_for(model, runtime, precision)
        self._set_up(model.task, runtimes.load(model, runtime, precision), batch)

    @classmethod
    def of(cls, task, model, runtime="tensorflow", precision="f32", batch=None):
        """A Predictor for a Keras model in memory, with its weights as they are now."""
        inference = task.inference(model)
        predictor = cls.__new__(cls)
        predictor._set_up(
            task, runtimes.start(tensorflow_runtime.trace(inference), inference, runtime, precision), batch
        )
        return predictor

    def _set_up(self, task, runtime, batch):
        from retinue.pipeline.prediction.reader import ClipReader, Reader

        self.task, self.runtime = task, runtime
        self._run = task.wrap_inference(runtime)
        self.batch = batch or _best_batch(runtime, task)
        if self._run is not runtime:  # what a task calls in pieces is large: few should be decoded ahead
            self.batch = 1
        self.decode_seconds = self.model_seconds = 0.0
        self._reader = ClipReader(task) if task.is_video else Reader(task)

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
                if len(asked) > self.runtime.num_requests or not decoding:
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
            if self.task.variable_size and result[0]:
                if first and not have_same_sizes(first, result[0]):
                    break
                first = result[0]
            read.append((file, *result))
            decoding.popleft()
        decoded = time.perf_counter()
        tensors = [tensors for _, tensors, _, _ in read if tensors]
        outputs = self._submit(stack_inputs(tensors, self.task.padding(training=False))) if tensors else None
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
        return self._run(stack_inputs(tensors, self.task.padding(training=False)))

    def submit(self, tensors):
        """A future of these outputs; so many as `runtime.num_requests` are under way at a time."""
        return self._submit(stack_inputs(tensors, self.task.padding(training=False)))

    def predict_tensors(self, tensors):
        """A list of what `read` gives -> a list of predictions."""
        return self.task.postprocess(self.outputs(tensors))


def outputs_function(model, runtime="auto", precision="auto"):
    """What runs a `Model` of run.py: a function from a batch of `task.read`'s tensors to a dict of output arrays."""
    runtime, precision, _ = runtimes.choose_for(model, runtime, precision)
    return runtimes.load(model, runtime, precision)


def opened(model):
    """The `Model` of run.py that a path stands for, or that is given."""
    from retinue.pipeline.runs.run import open_model

    return open_model(model) if isinstance(model, (str, os.PathLike)) else model


def _best_batch(runtime, task):
    import tensorflow as tf

    on_gpu = runtime.name == "tensorflow" and tf.config.list_physical_devices("GPU")
    configured = task.config.evaluate.batch_size
    if on_gpu:
        return configured
    # Large pictures that differ in size are as fast one by one, padded to none other, and in half the memory.
    return 1 if task.padding(training=False) else min(configured, CPU_BATCH)
