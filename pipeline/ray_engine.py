"""Prediction on several machines: a pool of Ray actors that each keep a `Predictor`, fed from one place.

Plain actors and not Ray Data's `map_batches`, for three reasons: it takes up a block whose worker died again and again
without end, so one file that kills whoever reads it would hold up the night, where here it becomes a failure with a
reason; it wants to know all files before it starts, while ours come as a stream; and answers would have to become Arrow
tables and back, dictionaries, masks and all. What it would do for us besides is the loop in `RayPredictor.__call__`.

The process that was started does all writing, so results, order, failures and resuming are those of `predict`. A chunk
of files is answered wholly or not at all: what a worker that dies had done of it is forgotten and done again by another.
"""

import collections
import dataclasses
import importlib.util
import itertools
import logging
import os
import tempfile

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import usable_cores
from retinue.pipeline.remote_files import fetched, is_remote

CHUNK = 4  # batches that a worker is given at a time; whole ones, so that each is made of the files of a local run
AHEAD = 4  # chunks a worker that are given out or wait for an earlier one; bounds the memory
TRIES = 2  # of a chunk, and then of each of its files alone
MOST_DEATHS = 20  # one after the other without an answer in between: it is not the files
STARTS_WITHIN = 600.0  # seconds
STORE_BYTES = 500_000_000  # of our own Ray, for answers on their way; what does not fit goes to the disk


class RayPredictor:
    """A pool of predictors; called as a `Predictor` is, and answering in the same order.

    model: the path of a run folder or of an export, which all machines can read. runtime, precision, batch: as for
    `Predictor`, chosen already. address: of a Ray cluster ("auto", "ray://host:10001", "host:6379"), or None for a Ray of
    our own on this machine. workers: how many, by default one a machine, with all of its cores.
    say: called with a line about the pool, and about each worker that dies.
    Raises UsageError when Ray is not installed or there is no cluster at `address`, and RetinueError when no worker can
    load the model.
    """

    def __init__(self, model, task, runtime, precision, batch=None, address=None, workers=None, say=print):
        self.task, self._say = task, say
        self.decode_seconds = self.model_seconds = 0.0
        self._ray = ray = _started(address)
        machines = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        count = workers or len(machines)
        on_one = -(-count // len(machines))
        cores = max(1, int(min(node["Resources"]["CPU"] for node in machines)) // on_one)
        options = {"num_cpus": cores, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        arguments = (os.path.abspath(model), runtime, precision, batch, cores, os.getcwd())
        self._start = lambda: ray.remote(**options)(Worker).remote(*arguments)
        self._pool = [self._start() for _ in range(count)]
        try:
            self.batch = ray.get([worker.batch.remote() for worker in self._pool], timeout=STARTS_WITHIN)[0]
        except BaseException as error:
            self._end()
            if not isinstance(error, ray.exceptions.RayError):
                raise
            raise RetinueError(f"Ray: no worker could load {model} ({_cause(error)}); all machines must have it there")
        named = "1 machine" if len(machines) == 1 else f"{len(machines)} machines"
        say(f"Ray {ray.__version__}: {count} worker{'s' if count > 1 else ''} with {cores} cores each on {named}")

    def __call__(self, files):
        """Yield a `Result` a file, in the order of `files` (iterable of paths), which is read as it is needed.

        A file that can't be read, or whose worker died with it each time, gives a reason. Raises RetinueError when
        workers die one after the other whatever they are given.
        """
        ray, files = self._ray, iter(files)
        idle, running = collections.deque(self._pool), {}
        in_order, todo, deaths = collections.deque(), collections.deque(), 0
        try:
            while True:
                while len(in_order) < AHEAD * len(self._pool):
                    some = [os.fspath(file) for file in itertools.islice(files, CHUNK * self.batch)]
                    if not some:
                        break
                    in_order.append(_Chunk(some))
                    todo.append(in_order[-1])
                while todo and idle:
                    chunk, worker = todo.popleft(), idle.popleft()
                    running[worker.predict.remote(chunk.files)] = chunk, worker
                while in_order and in_order[0].results is not None:
                    yield from in_order.popleft().results
                if not in_order:
                    return
                done, _ = ray.wait(list(running), num_returns=1)
                chunk, worker = running.pop(done[0])
                try:
                    chunk.results, decoding, modelling = ray.get(done[0])
                except ray.exceptions.RayActorError:
                    deaths += 1
                    if deaths > MOST_DEATHS:
                        raise RetinueError(
                            f"Ray: {deaths} workers died one after the other; is there enough memory for each? "
                            "Fewer --workers, or a smaller --batch, need less"
                        ) from None
                    self._pool[self._pool.index(worker)] = worker = self._start()
                    parts = chunk.again()
                    self._say(f"Ray: a worker died; {_told(parts)}")
                    if parts:
                        place = in_order.index(chunk)
                        in_order = collections.deque([*in_order][:place] + parts + [*in_order][place + 1 :])
                        todo.extendleft(reversed(parts))
                except ray.exceptions.RayTaskError as error:
                    raise RetinueError(f"Ray: a worker failed: {_cause(error)}") from None
                else:
                    deaths = 0
                    self.decode_seconds += decoding
                    self.model_seconds += modelling
                idle.append(worker)
        finally:
            self._end()

    def _end(self):
        for worker in self._pool:
            self._ray.kill(worker)
        self._ray.shutdown()


class Worker:
    """What lives in each worker process: a `Predictor`, which is loaded once.

    The arguments are those of `Predictor`; cores: how many it may keep busy; folder: what relative paths start from.
    """

    def __init__(self, model, runtime, precision, batch, cores, folder):
        os.environ["RETINUE_CORES"] = str(cores)
        import tensorflow as tf

        from retinue.pipeline.predict import Predictor

        tf.config.threading.set_intra_op_parallelism_threads(cores)
        self._predictor, self._folder = Predictor(model, runtime, precision, batch), folder

    def batch(self):
        """Pictures a call of the model, which is loaded when this answers."""
        return self._predictor.batch

    def predict(self, files):
        """A list of paths or addresses -> (a list of `Result`, seconds that waited for decoding, and for the model)."""
        predictor = self._predictor
        decoding, modelling = predictor.decode_seconds, predictor.model_seconds
        with tempfile.TemporaryDirectory(prefix="retinue-") as folder:
            local = [os.path.join(self._folder, file) if not is_remote(file) else file for file in files]
            local, reasons = fetched(local, folder)
            results = [
                dataclasses.replace(result, file=file, reason=reason or result.reason)
                for file, reason, result in zip(files, reasons, predictor(local), strict=True)
            ]
        return results, predictor.decode_seconds - decoding, predictor.model_seconds - modelling


class _Chunk:
    """Files that are given to a worker together; results: a list of `Result`, or None until they are there."""

    def __init__(self, files):
        self.files, self.results, self.tries = files, None, 0

    def again(self):
        """What is to be done anew after a worker died with it: the chunk, or its files one by one, or nothing more."""
        from retinue.pipeline.predict import Result

        self.tries += 1
        if self.tries < TRIES:
            return [self]
        if len(self.files) > 1:
            return [_Chunk([file]) for file in self.files]
        reason = f"the worker died each of the {self.tries} times that it was given this file alone"
        self.results = [Result(self.files[0], reason=f"{reason}; look at the file, and at the machine's memory")]
        return []


def _started(address):
    """The module `ray`, connected to the cluster at `address`, or to one that is started for this process alone."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray: Ray is not installed; `pip install 'retinue[ray]'`")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # or it would tell its makers that it is used
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it would tell the user of its plans
    import ray

    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        ray.init(
            address="local", num_cpus=usable_cores(), include_dashboard=False, object_store_memory=STORE_BYTES, **quiet
        )
        return ray
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"--address {address}: there is no Ray cluster ({_line(error)}); start one with `ray start --head`, or "
            "leave out --address to use this machine"
        ) from None
    return ray


def _told(parts):
    if not parts:
        return "its only file, for the last time: see failures.jsonl"
    count = sum(len(part.files) for part in parts)
    alone = " one by one" if len(parts) > 1 else ""
    return f"its {count} file{'s' if count > 1 else ''} will be done again{alone}"


def _cause(error):
    """One line of what an error that Ray brought from a worker is about."""
    cause = getattr(error, "cause", None)
    if cause is not None:
        return _line(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
