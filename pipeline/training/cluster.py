"""The workers of a job, as TF_CONFIG or SLURM names them."""

import json
import os
import re
from typing import NamedTuple

from retinue.configs.errors import UsageError

FIRST_PORT, JOBS, PORTS_PER_JOB = 12000, 2000, 16  # the ports of SLURM's jobs


class Cluster(NamedTuple):
    """The workers of a job.

    Attributes:
        addresses: "host:port" of each worker.
        worker: the index of this process.
    """

    addresses: list[str]
    worker: int


def find_cluster() -> Cluster | None:
    """Return the workers that TF_CONFIG names, or SLURM if it has several tasks; None if neither does.

    A "chief" of TF_CONFIG is the first of the workers.

    Raises:
        UsageError: the variables can't be read, or name an "evaluator" or a "ps".
    """
    if os.environ.get("TF_CONFIG", "").strip():
        return _from_tf_config(os.environ["TF_CONFIG"])
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _from_slurm()
    return None


def _from_tf_config(text: str) -> Cluster | None:
    try:
        content = json.loads(text)
        cluster, task = content.get("cluster") or {}, content.get("task") or {}
        if not cluster:
            return None
        addresses = [*cluster.get("chief", []), *cluster.get("worker", [])]
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"TF_CONFIG can't be read ({error!r}); docs/distributed.md shows what it holds") from None
    if kind not in ("chief", "worker") or set(cluster) - {"chief", "worker"}:
        raise UsageError(f"TF_CONFIG names {', '.join({kind, *cluster})}; only chief and worker are supported")
    number = index + (len(cluster.get("chief", [])) if kind == "worker" else 0)
    if not 0 <= number < len(addresses):
        raise UsageError(f"TF_CONFIG names {len(addresses)} workers, but this one has the index {number}")
    return Cluster(addresses, number)


def _from_slurm() -> Cluster:
    """Return the workers as SLURM's srun names them. TensorFlow's own resolver has no tasks without GPUs.

    The tasks of a node listen at ports that follow from the number of the job, so jobs may share a node.
    """
    try:
        hosts = _parse_hosts(os.environ["SLURM_STEP_NODELIST"])
        counts = _parse_counts(os.environ["SLURM_STEP_TASKS_PER_NODE"])
        number, job = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_JOB_ID"])
        first = FIRST_PORT + job % JOBS * PORTS_PER_JOB
        tasks = [(host, first + index) for host, count in zip(hosts, counts, strict=True) for index in range(count)]
        here = os.environ.get("SLURMD_NODENAME", tasks[number][0])
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(
            f"SLURM's variables can't be read ({error!r}); start the job with srun, or set TF_CONFIG"
        ) from None
    if tasks[number][0] != here:
        raise UsageError(
            f"task {number} is on {here}, not on {tasks[number][0]}; give srun --distribution=block, which numbers the "
            "tasks node by node"
        )
    return Cluster([f"{host}:{port}" for host, port in tasks], number)


def _parse_hosts(text: str) -> list[str]:
    """ "n[01-03,7],m" -> ["n01", "n02", "n03", "n7", "m"]."""
    hosts = []
    for part in re.findall(r"[^,\[\]]+(?:\[[^\]]*\])?", text):
        match = re.fullmatch(r"([^\[]+)(?:\[(.*)\])?", part)
        if match is None:
            raise ValueError(text)
        stem, listed = match.groups()
        for span in listed.split(",") if listed else [""]:
            first, _, last = span.partition("-")
            numbers = range(int(first), int(last) + 1) if last else [first]
            hosts += [f"{stem}{str(number).zfill(len(first))}" for number in numbers]
    return hosts


def _parse_counts(text: str) -> list[int]:
    """ "2(x3),1" -> [2, 2, 2, 1]."""
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise ValueError(text)
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
