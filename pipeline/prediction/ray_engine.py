"""Prediction on several machines: a pool of Ray actors that each hold a `Predictor` and get files from this process.

The pool uses plain actors and not `map_batches` of Ray Data, for three reasons. Ray Data repeats a block whose worker
died again and again without end, so that one file that kills its reader would block the job; here such a file becomes a
failure with a reason. Ray Data needs all files before it starts, while ours come as a stream. And results would have to
become Arrow tables and back, with dictionaries and masks. The loop in `RayPredictor.__call__` is all that Ray Data
would save.

This process does all the writing, so results, order, failures and resuming are those of `predict`. A chunk of files is
predicted completely or not at all: if a worker dies, its chunk is predicted again from the start.
"""

import collections
import dataclasses
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from retinue.configs.errors import RetinueError, UsageError, last_line
from retinue.pipeline.prediction.ray_cluster import Cluster
from retinue.pipeline.prediction.ray_worker import Worker
from retinue.pipeline.runs.model_files import model_bytes
from retinue.pipeline.runs.run import versions
from retinue.tasks.scores import counted

if TYPE_CHECKING:
    from retinue.pipeline.prediction.predictor import Result
    from retinue.pipeline.runs.run import Model

logger = logging.getLogger(__name__)

# Batches in a chunk for each request in flight. Some cores wait at the end of a chunk. The batches are complete, so
# that each consists of the same files as in a local run.
BATCHES_IN_CHUNK = 8
CHUNKS_AHEAD = 3  # chunks for each worker that are in flight or wait for an earlier one; this bounds the memory
TRIES = 2  # of a chunk with several files, before each of them is tried alone
TRIES_ALONE = 3  # of a chunk with one file
MAX_DEATHS = 20  # deaths in a row without a result: then the files are not the cause
START_TIMEOUT = 600.0  # seconds


class RayPredictor:
    """A pool of predictors. It is called as a `Predictor` is, and keeps the order of the files. Close it at the end.

    It logs a line about the pool, and one about each worker that dies.

    Args:
        model: the model.
        runtime: the runtime; not "auto".
        precision: the precision; not "auto".
        batch_size: as for `Predictor`.
        address: the address of a Ray cluster; see `Cluster`.
        num_workers: the number of workers. By default, with TensorFlow and GPUs in every machine, one for each GPU;
            otherwise one for each machine, or several on machines with a multiple of the cores of the smallest.

    Attributes:
        task: the task.
        decode_seconds: the time that the workers spent waiting for decoded files.
        model_seconds: the time that the workers spent waiting for the model.

    Raises:
        UsageError: there is no Ray, or it has too few cores for `num_workers`.
        RetinueError: no worker can load the model.
    """

    def __init__(
        self,
        model: "Model",
        runtime: str,
        precision: str,
        batch_size: int | None = None,
        address: str | None = None,
        num_workers: int | None = None,
    ) -> None:
        self.task = model.task
        self.decode_seconds = self.model_seconds = 0.0
        self._cluster = Cluster(address)
        try:
            ray = self._ray = self._cluster.ray
            self._num_workers, cores, gpus = divide_machines(
                self._cluster.machines, num_workers, runtime == "tensorflow"
            )
            options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
            self._actor_class = ray.remote(**options)(Worker)
            content = [] if self._cluster.is_local else [ray.put(model_bytes(model.folder))]
            folder = os.path.abspath(model.folder)
            self._load_arguments = folder, model.fingerprint, content, runtime, precision, batch_size
            self._worker_arguments = cores, gpus, os.getcwd(), self._cluster.scratch
            machines = len(self._cluster.machines)
            logger.info(
                f"Ray {ray.__version__}: {counted(self._num_workers, 'worker')} with {counted(cores, 'core')} each "
                f"on {counted(machines, 'machine')}"
            )
            self._idle: collections.deque[_Member] = collections.deque()
            self._loading: dict[Any, _Member] = {}
            self._running: dict[Any, tuple[_Chunk, _Member]] = {}
            self._chunk_size = 1
            self._deaths = 0
            self._warned: set[tuple[str, ...]] = set()
            for _ in range(self._num_workers):
                self._start_worker()
            while not self._idle:  # the first worker that has loaded the model determines the size of a chunk
                self._handle_next_event()
        except BaseException:
            self.close()
            raise

    def __call__(self, files: Iterable[str | os.PathLike[str]], /) -> "Iterator[Result]":
        """Yield a result for each file, in the order of the files.

        A file that can't be read, or whose worker died each time, gets a reason.

        Args:
            files: paths. They are taken as they are needed.

        Raises:
            RetinueError: workers die one after the other, whatever their files are.
        """
        files = iter(files)
        in_order: list[_Chunk] = []
        waiting: collections.deque[_Chunk] = collections.deque()
        while True:
            while len(in_order) < CHUNKS_AHEAD * self._num_workers:
                paths = [os.fspath(file) for file in itertools.islice(files, self._chunk_size)]
                if not paths:
                    break
                in_order.append(_Chunk(paths))
                waiting.append(in_order[-1])
            while waiting and self._idle:
                chunk, member = waiting.popleft(), self._idle.popleft()
                self._running[member.actor.predict.remote(chunk.files)] = chunk, member
            while in_order and in_order[0].results is not None:
                yield from in_order.pop(0).results or ()
            if not in_order:
                return
            lost = self._handle_next_event()
            if lost and lost.replacements:
                index = in_order.index(lost)
                in_order[index : index + 1] = lost.replacements
                waiting.extendleft(reversed(lost.replacements))

    def close(self) -> None:
        """End the workers, and the Ray on this machine."""
        self._cluster.close()

    def _start_worker(self) -> None:
        actor = self._actor_class.remote(*self._worker_arguments)
        self._loading[actor.load.remote(*self._load_arguments)] = _Member(actor)

    def _handle_next_event(self) -> "_Chunk | None":
        """Wait until a worker has loaded the model, predicted or died. Returns the chunk of a dead worker, or None."""
        ray = self._ray
        timeout = None if self._running else START_TIMEOUT
        try:
            done, _ = ray.wait([*self._running, *self._loading], num_returns=1, timeout=timeout)
        except ray.exceptions.RayError as error:
            raise RetinueError(
                f"Ray: the connection to the cluster is lost ({last_line(error)}); run the same command again to "
                "continue"
            ) from None
        if not done:
            raise RetinueError(
                f"Ray: no worker could start within {START_TIMEOUT:.0f} seconds, perhaps because other jobs use the "
                "cores; wait for them, or change --num-workers, the number of workers that divide the cores"
            )
        chunk: _Chunk | None = None
        if done[0] in self._running:
            chunk, member = self._running.pop(done[0])
        else:
            member = self._loading.pop(done[0])
        try:
            answer = ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            if chunk:
                raise RetinueError(
                    f"Ray: the worker on {member.machine} failed: {_cause(error)}; run the same command again to "
                    "continue"
                ) from None
            self._continue_without(member, _cause(error))
        except ray.exceptions.RayError as error:  # the worker or its machine died, or the connection to it is lost
            if getattr(error, "actor_init_failed", False):
                self._continue_without(member, last_line(error))
                return None
            self._replace_worker(member, chunk)
            return chunk
        else:
            self._idle.append(member)
            if chunk:
                chunk.results, decode_seconds, model_seconds = answer
                self._deaths = 0
                self.decode_seconds += decode_seconds
                self.model_seconds += model_seconds
            else:
                member.machine, in_flight, worker_versions = answer
                self._chunk_size = BATCHES_IN_CHUNK * in_flight
                self._warn_of_other_versions(member.machine, worker_versions)
        return None

    def _continue_without(self, member: "_Member", why: str) -> None:
        """End a worker that can't load the model. It is not replaced, because its machine could not load it either."""
        self._ray.kill(member.actor)
        if not (self._idle or self._running or self._loading):
            raise RetinueError(f"Ray: no worker could load {self._load_arguments[0]}: {why}")
        self._num_workers = max(1, self._num_workers - 1)
        logger.warning(f"Ray: continuing without a worker that could not load the model: {why}")

    def _replace_worker(self, member: "_Member", chunk: "_Chunk | None") -> None:
        self._ray.kill(member.actor)  # it still runs if only the connection is lost
        self._deaths += 1
        if self._deaths > MAX_DEATHS:
            last = f", the last time with {chunk.files[0]}" if chunk else ""
            raise RetinueError(
                f"Ray: workers died {self._deaths} times without a result in between{last}, perhaps because the "
                "machines have too little memory; use fewer --num-workers or a smaller --batch-size"
            )
        event = f"a worker on {member.machine} died" if member.machine else "a worker died while it started"
        if chunk:
            chunk.retry()
            event += f": {chunk.retry_note}"
        logger.warning(f"Ray: {event}")
        self._start_worker()

    def _warn_of_other_versions(self, machine: str, worker_versions: dict[str, str]) -> None:
        """Log a warning if a machine has other versions of packages than this one. It is logged once."""
        here = versions()
        others = [
            f"{name} {worker_versions[name]} (here {here[name]})"
            for name in here
            if worker_versions.get(name, here[name]) != here[name]
        ]
        if others and (machine, *others) not in self._warned:
            self._warned.add((machine, *others))
            logger.warning(f"warning: {machine} has {', '.join(others)}, so the last digits of scores may differ")


@dataclasses.dataclass
class _Member:
    """A worker of the pool. machine: the name of its machine, or None while it starts."""

    actor: Any
    machine: str | None = None


class _Chunk:
    """Files that a worker gets together.

    Attributes:
        files: the paths.
        results: a result for each file, or None until they are predicted.
        tries: how many workers died with it.
        replacements: after a worker died, the chunks that are predicted in its place.
        retry_note: what happens with the files after a worker died, in words.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = list(files)
        self.results: list[Result] | None = None
        self.tries = 0
        self.replacements: list[_Chunk] = []
        self.retry_note = ""

    def retry(self) -> None:
        """Decide what is predicted again after a worker died: the chunk, each file alone, or nothing."""
        from retinue.pipeline.prediction.predictor import Result

        self.tries += 1
        files = counted(len(self.files), "file")
        if self.tries < (TRIES if len(self.files) > 1 else TRIES_ALONE):
            self.replacements, self.retry_note = [self], f"its {files} will be predicted again"
        elif len(self.files) > 1:
            self.replacements = [_Chunk([file]) for file in self.files]
            self.retry_note = f"its {files} will be predicted again, one by one"
        else:
            reason = f"the worker died each of the {self.tries} times that it got this file alone"
            reason += "; check the file, and the memory of the machine"
            self.replacements, self.results = [], [Result(self.files[0], reason=reason)]
            self.retry_note = f"{self.files[0]} is recorded as a failure, see failures.jsonl"


def divide_machines(
    machines: Sequence[tuple[int, int]], num_workers: int | None, uses_gpus: bool
) -> tuple[int, int, float]:
    """Divide the machines of a cluster among workers.

    Args:
        machines: (cores, GPUs) of each machine.
        num_workers: the requested number of workers, or None.
        uses_gpus: whether the runtime can use GPUs.

    Returns:
        The number of workers, and the cores and the GPUs of each.

    Raises:
        UsageError: there are more workers than cores.
    """
    gpus = sum(gpu for _, gpu in machines) if uses_gpus and all(gpu for _, gpu in machines) else 0
    if num_workers is None and gpus:
        return gpus, min(max(1, core // gpu) for core, gpu in machines), 1
    fewest = min(core for core, _ in machines)
    if num_workers is None:
        return sum(core // fewest for core, _ in machines), fewest, 0
    cores = max(1, fewest // -(-num_workers // len(machines)))
    maximum = sum(core // cores for core, _ in machines)
    if num_workers > maximum:
        raise UsageError(
            f"--num-workers {num_workers}: there are {counted(maximum, 'core')} only, and each worker needs one"
        )
    return num_workers, cores, min(1, gpus / num_workers)


def _cause(error: Any) -> str:
    """Return one line about the cause of a `RayTaskError`."""
    if isinstance(error.cause, RetinueError):
        return str(error.cause)
    return f"{type(error.cause).__name__}: {last_line(error.cause)}"
