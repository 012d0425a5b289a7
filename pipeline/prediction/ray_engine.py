"""Prediction on several machines: a pool of Ray actors that each keep a `Predictor`, fed from one place.

Plain actors and not Ray Data's `map_batches`, for three reasons: it takes up a block whose worker died again and again
without end, so one file that kills whoever reads it would hold up the night, where here it becomes a failure with a
reason; it wants to know all files before it starts, while ours come as a stream; and answers would have to become Arrow
tables and back, dictionaries, masks and all. What it would do for us besides is the loop in `RayPredictor.__call__`.

The process that was started does all writing, so results, order, failures and resuming are those of `predict`. A chunk
of files is answered wholly or not at all: of a worker that dies, what it has done of it is forgotten and done anew.
"""

import collections
import dataclasses
import itertools
import logging
import os

from retinue.configs.errors import RetinueError, UsageError, last_line
from retinue.pipeline.prediction.ray_cluster import Cluster
from retinue.pipeline.prediction.ray_worker import Worker
from retinue.pipeline.runs.model_files import model_bytes
from retinue.pipeline.runs.run import versions
from retinue.tasks.scores import counted

logger = logging.getLogger(__name__)

CHUNK = 8  # batches a stream of the runtime that a worker is given at a time: at its end some cores have to wait. Whole
# ones, so that each is made of the files of a local run
AHEAD = 3  # chunks a worker that are given out or wait for an earlier one; bounds the memory
TRIES = 2  # of a chunk with several files, then each is tried alone
TRIES_ALONE = 3
MOST_DEATHS = 20  # one after the other without an answer in between: it is not the files
STARTS_WITHIN = 600.0  # seconds


class RayPredictor:
    """A pool of predictors; called as a `Predictor` is, and answering in the same order. To be closed at the end.

    model: `Model` of run.py. runtime, precision: as for `Predictor`, chosen already; batch: as there.
    address: of a Ray cluster, see `Cluster`. workers: how many; by default so many as there are GPUs when the runtime
    is TensorFlow and every machine has some, else one a machine, or more on those that have twice the cores of others.
    A line about the pool, and one about each worker that dies, are logged.
    Raises UsageError when there is no Ray, or not enough of it for `workers`, and RetinueError when no worker can load
    the model.
    """

    def __init__(self, model, runtime, precision, batch=None, address=None, workers=None):
        self.task = model.task
        self.decode_seconds = self.model_seconds = 0.0
        self._cluster = Cluster(address)
        try:
            ray = self._ray = self._cluster.ray
            self._count, cores, gpus = share_out(self._cluster.machines, workers, runtime == "tensorflow")
            options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
            self._actor = ray.remote(**options)(Worker)
            content = [] if self._cluster.own else [ray.put(model_bytes(model.folder))]
            self._about = os.path.abspath(model.folder), model.fingerprint, content, runtime, precision, batch
            self._of_worker = cores, gpus, os.getcwd(), self._cluster.scratch
            machines = len(self._cluster.machines)
            logger.info(
                f"Ray {ray.__version__}: {counted(self._count, 'worker')} with {counted(cores, 'core')} each "
                f"on {counted(machines, 'machine')}"
            )
            self._idle, self._loading, self._running = collections.deque(), {}, {}
            self._deaths, self._told = 0, set()
            for _ in range(self._count):
                self._start()
            while not self._idle:  # the first to be there says how many files are a chunk
                self._next_event()
        except BaseException:
            self.close()
            raise

    def __call__(self, files):
        """Yield a `Result` a file, in the order of `files` (iterable of paths), which is read as it is needed.

        A file that can't be read, or whose worker died with it each time, gives a reason. Raises RetinueError when
        workers die one after the other whatever they are given.
        """
        files, in_order, todo = iter(files), [], collections.deque()
        while True:
            while len(in_order) < AHEAD * self._count:
                some = [os.fspath(file) for file in itertools.islice(files, self._chunk)]
                if not some:
                    break
                in_order.append(_Chunk(some))
                todo.append(in_order[-1])
            while todo and self._idle:
                chunk, member = todo.popleft(), self._idle.popleft()
                self._running[member.actor.predict.remote(chunk.files)] = chunk, member
            while in_order and in_order[0].results is not None:
                yield from in_order.pop(0).results
            if not in_order:
                return
            lost = self._next_event()
            if lost and lost.parts:
                place = in_order.index(lost)
                in_order[place : place + 1] = lost.parts
                todo.extendleft(reversed(lost.parts))

    def close(self):
        """End the workers, and our own Ray."""
        self._cluster.close()

    def _start(self):
        actor = self._actor.remote(*self._of_worker)
        self._loading[actor.load.remote(*self._about)] = _Member(actor)

    def _next_event(self):
        """Wait until a worker has loaded the model, answered or died; the chunk that was lost with it, or None."""
        ray = self._ray
        within = None if self._running else STARTS_WITHIN
        try:
            done, _ = ray.wait([*self._running, *self._loading], num_returns=1, timeout=within)
        except ray.exceptions.RayError as error:
            raise RetinueError(
                f"Ray: the cluster is lost ({last_line(error)}); run the same command again to go on"
            ) from None
        if not done:
            raise RetinueError(
                f"Ray: no worker could start within {STARTS_WITHIN:.0f} seconds; are the cores that it wants taken by "
                "others? --num-workers says how many workers share them"
            )
        chunk, member = self._running.pop(done[0], None) or (None, self._loading.pop(done[0], None))
        try:
            answer = ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            if chunk:
                raise RetinueError(f"Ray: the worker on {member.machine} failed: {_cause(error)}") from None
            self._do_without(member, _cause(error))
        except ray.exceptions.RayError as error:  # it died, its machine did, or the connection to it
            if getattr(error, "actor_init_failed", False):
                self._do_without(member, last_line(error))
                return None
            self._replace(member, chunk)
            return chunk
        else:
            self._idle.append(member)
            if chunk:
                chunk.results, decoding, modelling = answer
                self._deaths = 0
                self.decode_seconds += decoding
                self.model_seconds += modelling
            else:
                member.machine, at_once, there = answer
                self._chunk = CHUNK * at_once
                self._compare(member.machine, there)
        return None

    def _do_without(self, member, why):
        """A worker can't load the model; another on that machine could as little."""
        self._ray.kill(member.actor)
        if not (self._idle or self._running or self._loading):
            raise RetinueError(f"Ray: no worker could load {self._about[0]}: {why}")
        self._count = max(1, self._count - 1)
        logger.warning(f"Ray: goes on without a worker that could not load the model: {why}")

    def _replace(self, member, chunk):
        self._ray.kill(member.actor)  # where it is the connection that is lost
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            last = f", the last time with {chunk.files[0]}" if chunk else ""
            raise RetinueError(
                f"Ray: workers died {self._deaths} times without an answer in between{last}; is there enough memory "
                "for each? Fewer --num-workers, or a smaller --batch-size, need less"
            )
        happened = f"a worker on {member.machine} died" if member.machine else "a worker died while it started"
        if chunk:
            chunk.give_again()
            happened += f": {chunk.fate}"
        logger.warning(f"Ray: {happened}")
        self._start()

    def _compare(self, machine, there):
        """Say where a machine has other versions than this one."""
        here = versions()
        others = [
            f"{name} {there[name]} (here {here[name]})" for name in here if there.get(name, here[name]) != here[name]
        ]
        if others and (machine, *others) not in self._told:
            self._told.add((machine, *others))
            logger.warning(f"warning: {machine} has {', '.join(others)}: answers may differ in their last digits")


@dataclasses.dataclass
class _Member:
    """A worker of the pool; machine: the name of its machine, once it has told."""

    actor: object
    machine: str = None


class _Chunk:
    """Files that are given to a worker together.

    results: a list of `Result`, or None until they are there; parts: after a worker died with it, the chunks that are
    given in its place; fate: what that means, in words.
    """

    def __init__(self, files):
        self.files, self.results, self.tries, self.parts, self.fate = files, None, 0, [], ""

    def give_again(self):
        """Settle what is done anew after a worker died with it: the chunk, or its files one by one, or nothing more."""
        from retinue.pipeline.prediction.predictor import Result

        self.tries += 1
        number = counted(len(self.files), "file")
        if self.tries < (TRIES if len(self.files) > 1 else TRIES_ALONE):
            self.parts, self.fate = [self], f"its {number} will be done again"
        elif len(self.files) > 1:
            self.parts = [_Chunk([file]) for file in self.files]
            self.fate = f"its {number} will be done again, one by one"
        else:
            reason = f"the worker died each of the {self.tries} times that it was given this file alone"
            reason += "; look at the file, and at the machine's memory"
            self.parts, self.results = [], [Result(self.files[0], reason=reason)]
            self.fate = f"{self.files[0]} is given up, see failures.jsonl"


def share_out(machines, workers, uses_gpus):
    """(how many workers, cores of each, GPUs of each) for machines given as (cores, GPUs) and a wish, or None.

    Raises UsageError for more workers than cores.
    """
    gpus = sum(gpu for _, gpu in machines) if uses_gpus and all(gpu for _, gpu in machines) else 0
    if workers is None and gpus:
        return gpus, min(max(1, core // gpu) for core, gpu in machines), 1
    fewest = min(core for core, _ in machines)
    if workers is None:
        return sum(core // fewest for core, _ in machines), fewest, 0
    cores = max(1, fewest // -(-workers // len(machines)))
    most = sum(core // cores for core, _ in machines)
    if workers > most:
        raise UsageError(f"--num-workers {workers}: there are {counted(most, 'core')} only, and each takes one")
    return workers, cores, min(1, gpus / workers)


def _cause(error):
    """One line of what a `RayTaskError` is about."""
    if isinstance(error.cause, RetinueError):
        return str(error.cause)
    return f"{type(error.cause).__name__}: {last_line(error.cause)}"
