"""The actor in each worker process of Ray: a predictor, which is loaded once."""

import contextlib
import dataclasses
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retinue.configs.quiet import import_tensorflow
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.inputs.remote_files import fetch, is_remote
from retinue.pipeline.runs.model_files import model_folder

if TYPE_CHECKING:
    from retinue.pipeline.prediction.predictor import Predictor, Result


class Worker:
    """A `Predictor` in a process of its own.

    Args:
        cores: the number of cores that it may use.
        gpus: the number of GPUs that it may use, possibly a fraction of one.
        folder: the folder that relative paths start from.
        scratch: the folder for temporary files, or None for that of the machine.
    """

    def __init__(self, cores: int, gpus: float, folder: str, scratch: str | None) -> None:
        os.environ["RETINUE_CORES"] = str(cores)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # TensorFlow would take all memory of a GPU of another process
        import_tensorflow(start_devices=False)
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(cores)
        if os.path.isdir(folder):
            os.chdir(folder)
        self._scratch = scratch
        self._predictor: Predictor | None = None

    def load(
        self,
        model: str,
        fingerprint: str,
        content: Sequence[Any],
        runtime: str,
        precision: str,
        batch_size: int | None,
    ) -> tuple[str, int, dict[str, str]]:
        """Load the model.

        Args:
            model: the folder of the model.
            fingerprint: the fingerprint of the model.
            content: one reference to what `model_bytes` returned. It is fetched if the folder has another model here.
            runtime: as for `Predictor`.
            precision: as for `Predictor`.
            batch_size: as for `Predictor`.

        Returns:
            The name of the machine, the number of images that are in flight at a time, and the versions of the packages
            that can change a result.
        """
        import ray

        from retinue.pipeline.prediction.predictor import Predictor
        from retinue.pipeline.runs.run import versions

        with model_folder(model, fingerprint, lambda: ray.get(content[0]), self._scratch) as folder:
            predictor = self._predictor = Predictor(folder, runtime, precision, batch_size)
        return socket.gethostname(), predictor.batch_size * predictor.runtime.num_requests, versions()

    def predict(self, files: Sequence[str]) -> "tuple[list[Result], float, float]":
        """Predict files.

        Args:
            files: paths or addresses.

        Returns:
            A result for each file, the seconds spent waiting for decoded files, and those spent waiting for the model.
        """
        predictor = self._predictor
        assert predictor is not None  # `load` was called before
        before = predictor.decode_seconds, predictor.model_seconds
        with contextlib.ExitStack() as copies:
            paths = [self._fetch(file, copies) if is_remote(file) else (file, None) for file in files]
            predicted = predictor([path for path, _ in paths if path is not None])
            results = [
                _failure(file, reason) if path is None else _rename(next(predicted), path, file)
                for file, (path, reason) in zip(files, paths, strict=True)
            ]
        return results, predictor.decode_seconds - before[0], predictor.model_seconds - before[1]

    def _fetch(self, file: str, copies: contextlib.ExitStack) -> tuple[str | None, str | None]:
        return fetch(file, copies.enter_context(scratch_folder(self._scratch)))


def _failure(file: str, reason: str | None) -> "Result":
    from retinue.pipeline.prediction.predictor import Result

    return Result(file, reason=reason)


def _rename(result: "Result", path: str, file: str) -> "Result":
    """Return the result of `path`, the temporary copy of a file, as that of `file`."""
    reason = result.reason.replace(path, file) if result.reason else None
    return dataclasses.replace(result, file=file, reason=reason)
