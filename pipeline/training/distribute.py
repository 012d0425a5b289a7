"""How a training step is spread over devices and machines: the strategies of `tf.distribute`, by name.

A batch is the same set of records however many replicas share it; its rows are cut into adjoining shares, which may be
unequal. So the learning rate needs no scaling, and one process learns the same.
"""

import contextlib
import json
import logging
import os
import re

from retinue.configs.errors import PreemptedError, RetinueError, UsageError
from retinue.configs.quiet import import_tensorflow

logger = logging.getLogger(__name__)

FIRST_PORT, JOBS, PORTS_OF_JOB = 12000, 2000, 16  # of SLURM's jobs
# What TensorFlow's errors say when another process is gone; it notices after 10 seconds at the latest.
SIGNS_OF_LOSS = (
    "Collective ops is aborted",
    "unhealthy",
    "heartbeat",
    "Connection reset",
    "Socket closed",
    "coordination",
)


class Distribution:
    """How the steps of a job are spread.

    strategy: of `tf.distribute`, or None for one device. worker, workers: this process's number, and how many there
    are. Each process has as many replicas of the model as the others, one a device.
    """

    def __init__(self, strategy=None, worker=0, workers=1):
        self.strategy, self.worker, self.workers = strategy, worker, workers
        self.replicas = strategy.num_replicas_in_sync if strategy else 1
        self.is_chief = worker == 0
        self._total = None

    def scope(self):
        """Where the model's and the optimizer's variables must be made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def shares(self, batch_size):
        """The rows (start, stop) of a batch for each replica of this process. Raises UsageError for too few rows."""
        if batch_size < self.replicas:
            raise UsageError(
                f"train.batch_size: a batch of {batch_size} can't be shared by {self.replicas} replicas; give each "
                f"one picture or more (--set train.batch_size={self.replicas}), or use fewer"
            )
        here = self.replicas // self.workers
        numbers = range(self.worker * here, (self.worker + 1) * here)
        return [(n * batch_size // self.replicas, (n + 1) * batch_size // self.replicas) for n in numbers]

    def spread(self, batch_size, make):
        """What `fit` is given. make: function (shares as for `data.batches`, None for whole batches) -> Dataset.

        Every process reads the records of its own shares alone.
        """
        if self.strategy is None:
            return make(None)
        shares = self.shares(batch_size)
        return self.strategy.distribute_datasets_from_function(lambda _: make(shares))

    def total(self, value):
        """The sum of a float over all processes, each of which must call this; the others wait for the last."""
        if self.workers == 1:
            return value
        import tensorflow as tf

        if self._total is None:
            self._total = tf.function(lambda number: self.strategy.reduce("SUM", number, axis=None))
        here = self.replicas // self.workers  # `reduce` counts a process once for each of its replicas
        return float(self._total(tf.constant(value / here, tf.float64)))

    def lines(self, batch_size):
        """What is said of it before training."""
        if self.replicas == 1:
            return []
        sizes = [(n + 1) * batch_size // self.replicas - n * batch_size // self.replicas for n in range(self.replicas)]
        shares = f"{sizes[0]} each" if len(set(sizes)) == 1 else " + ".join(map(str, sizes))
        where = f"{self.workers} workers" if self.workers > 1 else "one process"
        return [
            f"{where}, {self.replicas} replicas: a batch of {batch_size} is shared, {shares}; it is the batch of one "
            "process, so the learning rate is that of one process, too"
        ]


def are_several(name):
    """Whether `train.strategy` = name means several workers here. Raises UsageError where there is no such thing."""
    cluster = _cluster()
    if cluster and len(cluster[0]) > 1 and name in ("single", "mirrored"):
        raise UsageError(
            f"train.strategy={name}: but TF_CONFIG or SLURM names {len(cluster[0])} workers; leave it away"
        )
    if name == "multi_worker" and cluster is None:
        raise UsageError(
            "train.strategy=multi_worker: neither TF_CONFIG nor SLURM names the workers; start it by "
            "`retinue launch --workers N -- train ...`, or see docs/distributed.md"
        )
    return bool(cluster) and len(cluster[0]) > 1


def start(name):
    """The `Distribution` that `train.strategy` names. For several workers TensorFlow must not have run anything yet.

    Waits until all workers are there. Raises UsageError where there is no such thing here.
    """
    if are_several(name):
        return _multiworker(*_cluster())
    import_tensorflow()
    if name == "mirrored" or (name == "auto" and _gpus() > 1):
        return _mirrored()
    return Distribution()


@contextlib.contextmanager
def losses_told(distribution):
    """Turns what TensorFlow says when another worker is gone into a PreemptedError."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        if distribution.workers == 1 or not is_loss(error):
            raise
        here = distribution.worker
        raise PreemptedError(
            f"worker {here} of {distribution.workers}: another worker is gone ({_who(str(error), here)}); its own "
            "output says why"
        ) from error


def is_loss(error):
    """Whether an error of TensorFlow says that another process is gone."""
    return any(sign in str(error) for sign in SIGNS_OF_LOSS)


def _mirrored():
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError(
            "train.strategy=mirrored: there is one device here, and it takes two GPUs or more; leave the setting away"
        )
    return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]))


def _multiworker(addresses, worker):
    if worker == 0:
        logger.info(f"waiting until all {len(addresses)} workers are there")
    described = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": worker}}
    os.environ["TF_CONFIG"] = json.dumps(described)
    import_tensorflow(start_devices=False)
    import tensorflow as tf

    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError(
            f"train.strategy=multi_worker: {error}; it must be started in a new process, before TensorFlow is used"
        ) from None
    except tf.errors.OpError as error:
        where = addresses[worker]
        raise RetinueError(f"worker {worker} could not join the others at {where}: {error.message}") from None
    return Distribution(strategy, worker, len(addresses))


def _cluster():
    """(addresses of all workers, this one's number) from TF_CONFIG, or from SLURM where it has several tasks, or None.

    A "chief" of TF_CONFIG is the first of the workers; an "evaluator" or "ps" is refused.
    """
    if os.environ.get("TF_CONFIG", "").strip():
        return _of_tf_config(os.environ["TF_CONFIG"])
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _of_slurm()
    return None


def _of_tf_config(text):
    try:
        described = json.loads(text)
        cluster, task = described.get("cluster") or {}, described.get("task") or {}
        if not cluster:
            return None
        addresses = [*cluster.get("chief", []), *cluster.get("worker", [])]
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"TF_CONFIG: can't be read ({error!r}); see docs/distributed.md for what it holds") from None
    if kind not in ("chief", "worker") or set(cluster) - {"chief", "worker"}:
        raise UsageError(f"TF_CONFIG: only chief and worker are used here, not {', '.join({kind, *cluster})}")
    number = index + (len(cluster.get("chief", [])) if kind == "worker" else 0)
    if not 0 <= number < len(addresses):
        raise UsageError(f"TF_CONFIG: names {len(addresses)} workers, and this one is number {number}")
    return addresses, number


def _of_slurm():
    """As SLURM's srun names them. TensorFlow's own resolver has no tasks where there are no GPUs.

    The tasks of a node listen at ports that follow from the job's number, so that jobs may share a node.
    """
    try:
        hosts = _hosts(os.environ["SLURM_STEP_NODELIST"])
        counts = _counts(os.environ["SLURM_STEP_TASKS_PER_NODE"])
        number, job = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_JOB_ID"])
        first = FIRST_PORT + job % JOBS * PORTS_OF_JOB
        tasks = [(host, first + place) for host, count in zip(hosts, counts, strict=True) for place in range(count)]
        here = os.environ.get("SLURMD_NODENAME", tasks[number][0])
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(f"SLURM's variables can't be read ({error!r}); start it by srun, or give TF_CONFIG") from None
    if tasks[number][0] != here:
        raise UsageError(
            f"task {number} is on {here}, not on {tasks[number][0]}; give srun --distribution=block, which numbers the "
            "tasks node by node"
        )
    return [f"{host}:{port}" for host, port in tasks], number


def _hosts(text):
    """ "n[01-03,7],m" -> ["n01", "n02", "n03", "n7", "m"]."""
    hosts = []
    for part in re.findall(r"[^,\[\]]+(?:\[[^\]]*\])?", text):
        stem, listed = re.fullmatch(r"([^\[]+)(?:\[(.*)\])?", part).groups()
        for span in listed.split(",") if listed else [""]:
            first, _, last = span.partition("-")
            numbers = range(int(first), int(last) + 1) if last else [first]
            hosts += [f"{stem}{str(number).zfill(len(first))}" for number in numbers]
    return hosts


def _counts(text):
    """ "2(x3),1" -> [2, 2, 2, 1]."""
    parts = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part).groups() for part in text.split(",")]
    return [int(count) for count, times in parts for _ in range(int(times or 1))]


def _gpus():
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _who(message, here):
    """The other task that TensorFlow names, as "worker 1", or what it says. here: this worker's number, which the
    message may name too, as the place of the operation that failed."""
    found = [int(number) for number in re.findall(r"/job:worker/(?:replica:\d+/)?task:(\d+)", message)]
    others = [number for number in found if number != here]
    return f"worker {others[0]} stopped answering" if others else message.strip().splitlines()[0][:100]
