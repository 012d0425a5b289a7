"""How a batch is shared, who the workers are, and what is reported when one is gone."""

import json

import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.errors import PreemptedError, UsageError
from retinue.data.batches import batches
from retinue.pipeline.training import cluster, distribute
from retinue.pipeline.training.distribute import Distribution


class Fake:
    """As much of a strategy as the shares need."""

    def __init__(self, replicas):
        self.num_replicas_in_sync = replicas


@pytest.mark.parametrize(("batch", "replicas", "workers"), [(8, 3, 3), (8, 2, 1), (32, 8, 4), (3, 3, 3), (61, 4, 2)])
def test_shares_are_the_batch_without_gap_or_overlap(batch, replicas, workers):
    shares = [
        share
        for worker in range(workers)
        for share in Distribution(Fake(replicas), worker, workers).replica_slices(batch)
    ]
    rows = [row for start, stop in shares for row in range(start, stop)]
    sizes = [stop - start for start, stop in shares]
    assert rows == list(range(batch)) and len(shares) == replicas
    assert max(sizes) - min(sizes) <= 1


def test_fewer_images_than_replicas_are_refused():
    with pytest.raises(UsageError, match="batch of 2 can't be divided among 3"):
        Distribution(Fake(3), 0, 3).replica_slices(2)


def test_unequal_shares_are_reported():
    (line,) = Distribution(Fake(3), 0, 3).describe(8)
    assert "a batch of 8 is divided, 2 + 3 + 3" in line and "learning rate is that of one process" in line
    assert Distribution().describe(8) == []


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("first_step", [0, 5])
def test_shares_put_together_are_the_batches_of_one_process(mixed, first_step):
    """Also with unequal shares, from any step on; images are mixed with those of the whole batch."""
    columns = {"value": np.arange(13, dtype=np.int64)}

    def example(columns, seed):
        return columns["value"], tf.random.stateless_uniform([], seed)

    def mix(values, noise, seeds):
        return values + 100 * tf.reverse(values, [0]), noise

    common = {"batch_size": 5, "training": True, "seed": 3, "first_step": first_step, "mix": mix if mixed else None}
    whole = [part for part in batches(columns, example, **common).take(7).as_numpy_iterator()]
    first = batches(columns, example, replica_slices=[(0, 1), (1, 3)], **common).take(14).as_numpy_iterator()
    second = batches(columns, example, replica_slices=[(3, 5)], **common).take(7).as_numpy_iterator()
    for values, noise in whole:
        parts = [next(first), next(first), next(second)]
        assert [len(part[0]) for part in parts] == [1, 2, 2]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), values)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), noise)


@pytest.mark.parametrize(("pad_to_full_batch", "widths"), [(False, {1, 3}), (True, {4})])
def test_a_share_is_padded_like_itself_or_like_the_whole_batch(pad_to_full_batch, widths):
    columns = {"length": np.array([1, 4, 3, 1])}

    def example(columns, seed):
        return (tf.ones([columns["length"]]),)

    common = {
        "batch_size": 4,
        "training": True,
        "order": "sequence",
        "padding": (0.0,),
        "pad_to_full_batch": pad_to_full_batch,
    }
    first, last = (batches(columns, example, replica_slices=[share], **common) for share in ((0, 1), (2, 4)))
    shapes = [next(iter(data))[0].shape for data in (first, last)]
    assert [shape[0] for shape in shapes] == [1, 2] and {shape[1] for shape in shapes} == widths


def tf_config(kind, index, **cluster):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (tf_config("worker", 1, worker=["a:1", "b:1"]), (["a:1", "b:1"], 1)),
        (tf_config("worker", 0, chief=["c:1"], worker=["a:1"]), (["c:1", "a:1"], 1)),
        (tf_config("chief", 0, chief=["c:1"], worker=["a:1"]), (["c:1", "a:1"], 0)),
        ("{}", None),
        ("", None),
    ],
)
def test_workers_of_tf_config(monkeypatch, text, expected):
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster.find_cluster() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "can't be read"),
        (tf_config("ps", 0, worker=["a:1"], ps=["b:1"]), "only chief and worker are supported"),
        (tf_config("worker", 2, worker=["a:1", "b:1"]), "names 2 workers, but this one has the index 2"),
    ],
)
def test_a_wrong_tf_config_is_reported(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match=message):
        distribute.has_several_workers("auto")


def test_workers_of_slurm(monkeypatch):
    """What a step of 6 tasks on 4 nodes has in its environment."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    step = {
        "SLURM_JOB_ID": "4003",
        "SLURM_STEP_NUM_TASKS": "6",
        "SLURM_STEP_NODELIST": "gpu[09-10,7],login",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1(x2)",
        "SLURM_PROCID": "3",
        "SLURMD_NODENAME": "gpu10",
    }
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    hosts = ["gpu09:12048", "gpu09:12049", "gpu10:12048", "gpu10:12049", "gpu7:12048", "login:12048"]
    assert cluster.find_cluster() == (hosts, 3)
    monkeypatch.setenv("SLURMD_NODENAME", "gpu7")
    with pytest.raises(UsageError, match="task 3 is on gpu7, not on gpu10.*distribution=block"):
        distribute.has_several_workers("auto")
    monkeypatch.delenv("SLURM_STEP_TASKS_PER_NODE")
    with pytest.raises(UsageError, match="start the job with srun"):
        distribute.has_several_workers("auto")


def test_wrong_strategies_are_reported(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UsageError, match="retinue launch"):
        distribute.start("multi_worker")
    with pytest.raises(UsageError, match="it needs two GPUs"):
        distribute.start("mirrored")
    assert distribute.start("auto").replicas == 1
    monkeypatch.setenv("TF_CONFIG", tf_config("worker", 0, worker=["a:1", "b:1"]))
    with pytest.raises(UsageError, match="names 2 workers"):
        distribute.start("single")
    monkeypatch.setenv("TF_CONFIG", tf_config("worker", 0, worker=["a:1"]))
    assert distribute.start("multi_worker").replicas == 1


def test_a_lost_worker_is_distinguished_from_other_errors():
    several = Distribution(Fake(2), 0, 2)
    heard = "Collective ops is aborted by: ... unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:1"
    with (
        pytest.raises(PreemptedError, match="worker 1 stopped answering") as error,
        distribute.report_lost_worker(several),
    ):
        raise tf.errors.UnavailableError(None, None, heard)
    assert error.value.exit_code == 138
    placed = "heartbeat timeout at /job:worker/replica:0/task:0/device:CPU:0, of /job:worker/replica:0/task:1"
    with pytest.raises(PreemptedError, match="worker 1 stopped answering"), distribute.report_lost_worker(several):
        raise tf.errors.UnavailableError(None, None, placed)
    with pytest.raises(tf.errors.InvalidArgumentError), distribute.report_lost_worker(several):
        raise tf.errors.InvalidArgumentError(None, None, "shapes do not fit")


@pytest.mark.parametrize(
    "message",
    [
        "UNAVAILABLE: Task /job:worker/replica:0/task:1 heartbeat timeout. This indicates that the remote task failed",
        "Collective ops is aborted by: The following tasks are unhealthy (stopped sending heartbeats): task:1",
        "Connection reset by peer",
        "Socket closed",
        "Agent was reported as failed by the coordination service",
    ],
)
def test_what_the_runtime_says_of_a_lost_worker_is_recognized(message):
    assert distribute.is_lost_worker(tf.errors.UnavailableError(None, None, message))


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.InvalidArgumentError(None, None, "heartbeat timeout"),
        tf.errors.UnknownError(None, None, "/data/heartbeat/coordination.jpg: could not decode"),
        tf.errors.InternalError(None, None, "the coordination of the shards failed"),
        RuntimeError("an unhealthy batch: coordination of 3 files"),
        ValueError("Collective ops is aborted by: nothing"),
    ],
)
def test_an_ordinary_error_that_mentions_coordination_is_no_lost_worker(error):
    assert not distribute.is_lost_worker(error)
