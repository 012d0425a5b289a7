"""What lives in each worker process of Ray: a predictor, which is loaded once."""

import contextlib
import dataclasses
import os
import socket

from retinue.configs.quiet import import_tensorflow
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.inputs.remote_files import fetch, is_remote
from retinue.pipeline.runs.model_files import model_folder


class Worker:
    """A `Predictor` in a process of its own.

    cores, gpus: how many it may keep busy; folder: what relative paths start from; scratch: a folder for what is needed
    for a while, or None for the system's.
    """

    def __init__(self, cores, gpus, folder, scratch):
        os.environ["RETINUE_CORES"] = str(cores)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # or TensorFlow would take all memory of one that is not its own
        import_tensorflow(start_devices=False)
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(cores)
        if os.path.isdir(folder):
            os.chdir(folder)
        self._scratch, self._predictor = scratch, None

    def load(self, model, mark, content, runtime, precision, batch):
        """Load the model: (the machine's name, pictures under way at a time, versions of what can change a number).

        model, mark: its folder and fingerprint; content: a list of the reference of what `model_bytes` gave, which is
        fetched where that model is not in that folder. The others are as for `Predictor`.
        """
        import ray

        from retinue.pipeline.prediction.predictor import Predictor
        from retinue.pipeline.runs.run import versions

        with model_folder(model, mark, lambda: ray.get(content[0]), self._scratch) as folder:
            self._predictor = Predictor(folder, runtime, precision, batch)
        return socket.gethostname(), self._predictor.batch * self._predictor.runtime.num_requests, versions()

    def predict(self, files):
        """A list of paths or addresses -> (a list of `Result`, seconds that waited for decoding, and for the model)."""
        predictor = self._predictor
        before = predictor.decode_seconds, predictor.model_seconds
        with contextlib.ExitStack() as kept:
            there = [self._fetched(file, kept) if is_remote(file) else (file, None) for file in files]
            readable = predictor([path for path, reason in there if not reason])
            results = [
                _named(file, path, reason, None if reason else next(readable))
                for file, (path, reason) in zip(files, there, strict=True)
            ]
        return results, predictor.decode_seconds - before[0], predictor.model_seconds - before[1]

    def _fetched(self, file, kept):
        return fetch(file, kept.enter_context(scratch_folder(self._scratch)))


def _named(file, path, reason, result):
    """The result of `path`, where a file was for the moment, as that of `file`."""
    from retinue.pipeline.prediction.predictor import Result

    if reason:
        return Result(file, reason=reason)
    reason = result.reason.replace(path, file) if result.reason else None
    return dataclasses.replace(result, file=file, reason=reason)
