"""How training steps are distributed over devices and machines: the strategies of `tf.distribute`, by name.

A batch is the same set of records however many replicas divide it. Each replica takes an adjoining slice of it; the
slices may have unequal sizes. So the learning rate needs no scaling, and the result is that of one process.
"""

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from retinue.configs.errors import PreemptedError, RetinueError, UsageError
from retinue.configs.quiet import import_tensorflow
from retinue.pipeline.training.cluster import Cluster, find_cluster

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

# What TensorFlow's messages hold when another process is gone. It notices that after 10 seconds at the latest.
LOST_WORKER = re.compile(
    r"Collective ops is aborted by|/job:worker/\S*task:\d+\S* (?:is |was )?(?:unhealthy|unavailable|disconnected)"
    r"|stopped sending heartbeats|heartbeat timeout|Connection reset by peer|Socket closed"
    r"|tasks are unhealthy|coordination ?service|failed to connect to all addresses",
    re.IGNORECASE,
)


class Distribution:
    """How the steps of a job are distributed. Every process has the same number of replicas, one per device.

    Args:
        strategy: a strategy of `tf.distribute`, or None for one device.
        worker: the index of this process.
        workers: the number of processes.

    Attributes:
        replicas: the number of replicas of the model, over all processes.
        is_chief: whether this is the process that writes and scores.
    """

    def __init__(self, strategy: "tf.distribute.Strategy | None" = None, worker: int = 0, workers: int = 1) -> None:
        self.strategy, self.worker, self.workers = strategy, worker, workers
        self.replicas: int = strategy.num_replicas_in_sync if strategy else 1
        self.is_chief = worker == 0
        self._sum: Callable[[Any], Any] | None = None

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the variables of the model and the optimizer must be created."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def replica_slices(self, batch_size: int) -> list[tuple[int, int]]:
        """Return the rows (start, stop) of a batch that each replica of this process takes.

        Raises:
            UsageError: the batch has fewer rows than there are replicas.
        """
        if batch_size < self.replicas:
            raise UsageError(
                f"train.batch_size: a batch of {batch_size} can't be divided among {self.replicas} replicas; give each "
                f"at least one image (--set train.batch_size={self.replicas}), or use fewer replicas"
            )
        local = self.replicas // self.workers
        numbers = range(self.worker * local, (self.worker + 1) * local)
        return [(n * batch_size // self.replicas, (n + 1) * batch_size // self.replicas) for n in numbers]

    def distribute_dataset(
        self, batch_size: int, make_dataset: Callable[[list[tuple[int, int]] | None], "tf.data.Dataset"]
    ) -> Any:
        """Return the dataset for `fit`. Every process reads only the records of its own slices.

        Args:
            batch_size: the number of records in a full batch.
            make_dataset: function from the slices of this process, or None for full batches, to a dataset.
        """
        if self.strategy is None:
            return make_dataset(None)
        slices = self.replica_slices(batch_size)
        return self.strategy.distribute_datasets_from_function(lambda _: make_dataset(slices))

    def total(self, value: float) -> float:
        """Return the sum of a number over all processes. Each must call this; the others wait for the last one."""
        if self.workers == 1 or self.strategy is None:
            return value
        import tensorflow as tf

        strategy = self.strategy
        if self._sum is None:
            self._sum = tf.function(lambda number: strategy.reduce("SUM", number, axis=None))
        local = self.replicas // self.workers  # `reduce` counts a process once for each of its replicas
        return float(self._sum(tf.constant(value / local, tf.float64)))

    def describe(self, batch_size: int) -> list[str]:
        """Return the lines to log before training: none for one device."""
        if self.replicas == 1:
            return []
        sizes = [(n + 1) * batch_size // self.replicas - n * batch_size // self.replicas for n in range(self.replicas)]
        parts = f"{sizes[0]} each" if len(set(sizes)) == 1 else " + ".join(map(str, sizes))
        where = f"{self.workers} workers" if self.workers > 1 else "one process"
        return [
            f"{where}, {self.replicas} replicas: a batch of {batch_size} is divided, {parts}; it is the batch of one "
            "process, so the learning rate is that of one process, too"
        ]


def has_several_workers(strategy_name: str) -> bool:
    """Return whether `train.strategy` means several workers here.

    Raises:
        UsageError: the strategy does not fit the workers that TF_CONFIG or SLURM name.
    """
    cluster = find_cluster()
    several = cluster is not None and len(cluster.addresses) > 1
    if cluster is not None and several and strategy_name in ("single", "mirrored"):
        raise UsageError(
            f"train.strategy={strategy_name}: TF_CONFIG or SLURM names {len(cluster.addresses)} workers; remove the key"
        )
    if strategy_name == "multi_worker" and cluster is None:
        raise UsageError(
            "train.strategy=multi_worker: neither TF_CONFIG nor SLURM names the workers; start the job with "
            "`retinue launch --workers N -- train ...`, or see docs/distributed.md"
        )
    return several


def start(strategy_name: str) -> Distribution:
    """Return the `Distribution` that `train.strategy` names, when all workers have joined.

    For several workers, TensorFlow must not have run anything yet.

    Raises:
        UsageError: the strategy is not possible here.
        RetinueError: this worker could not join the others.
    """
    if has_several_workers(strategy_name):
        cluster = find_cluster()
        assert cluster is not None
        return _start_multi_worker(cluster)
    import_tensorflow()
    if strategy_name == "mirrored" or (strategy_name == "auto" and _num_gpus() > 1):
        return _start_mirrored()
    return Distribution()


@contextlib.contextmanager
def report_lost_worker(distribution: Distribution) -> Iterator[None]:
    """Turn TensorFlow's error about a lost worker into a `PreemptedError` within this context."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        if distribution.workers == 1 or not is_lost_worker(error):
            raise
        here = distribution.worker
        raise PreemptedError(
            f"worker {here} of {distribution.workers}: another worker is gone ({_name_lost_worker(str(error), here)}); "
            "its own output tells why"
        ) from error


def is_lost_worker(error: Exception) -> bool:
    """Return whether an error says that another process is gone.

    Only errors by which TensorFlow's collective operations report it count, with one of their own messages. Other
    errors that mention a heartbeat or coordination do not.
    """
    import tensorflow as tf

    kinds = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
        tf.errors.UnknownError,
    )
    reported_by_runtime = isinstance(error, kinds) or type(error) is RuntimeError
    return reported_by_runtime and LOST_WORKER.search(str(error)) is not None


def _start_mirrored() -> Distribution:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError("train.strategy=mirrored: this machine has one device, and it needs two GPUs; remove the key")
    return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]))


def _start_multi_worker(cluster: Cluster) -> Distribution:
    addresses, worker = cluster
    if worker == 0:
        logger.info(f"waiting for all {len(addresses)} workers")
    content = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": worker}}
    os.environ["TF_CONFIG"] = json.dumps(content)
    import_tensorflow(start_devices=False)
    import tensorflow as tf

    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError(
            f"train.strategy=multi_worker: {error}; it must start in a new process, before TensorFlow is used"
        ) from None
    except tf.errors.OpError as error:
        where = addresses[worker]
        raise RetinueError(f"worker {worker} could not join the others at {where}: {error.message}") from None
    return Distribution(strategy, worker, len(addresses))


def _num_gpus() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _name_lost_worker(message: str, here: int) -> str:
    """Return the other worker that TensorFlow names, as "worker 1 stopped answering", or the start of its message.

    Args:
        message: TensorFlow's message.
        here: the index of this worker, which the message may name too, as the place of the failed operation.
    """
    named = [int(number) for number in re.findall(r"/job:worker/(?:replica:\d+/)?task:(\d+)", message)]
    others = [number for number in named if number != here]
    return f"worker {others[0]} stopped answering" if others else message.strip().splitlines()[0][:100]
