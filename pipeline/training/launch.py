"""`retinue launch`: training with several worker processes on this machine, which are watched and restarted."""

import ctypes
import json
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from retinue.configs.errors import PreemptedError, UsageError

logger = logging.getLogger(__name__)

GRACE = 15.0  # seconds that the other workers have to notice that one is gone; TensorFlow takes 10
POLL_SECONDS = 0.2  # between two looks at the workers
LOG_LINES = 5  # of a failed worker's log on the screen
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


def launch(
    workers: int,
    data: str,
    arguments: Sequence[str],
    out: str | None,
    *,
    max_restarts: int = 0,
    flags: Sequence[str] = (),
) -> int:
    """Run `retinue train` in several processes that train one model together.

    The chief, worker 0, writes to this terminal, the others to `OUT-logs/worker-N.log`. SIGTERM and Ctrl-C are
    forwarded once: the workers save and end. A second signal ends them at once.

    Args:
        workers: the number of processes.
        data: the data of the train command.
        arguments: all arguments of the train command, without `train`.
        out: the run folder of the train command.
        max_restarts: how often to restart from the last checkpoint when a worker was killed, hung, or lost another
            one. There is no restart after an error that a person must fix.
        flags: options of `retinue` itself for the workers, such as -q.

    Returns:
        The exit code of the job.

    Raises:
        UsageError: `out` is missing.
    """
    if not out:
        raise UsageError("launch: give the train command an --out, the folder that a restarted job resumes")
    logs = Path(f"{str(out).rstrip('/')}-logs")
    resume = f"retinue launch --workers {workers} -- train {shlex.quote(data)} --out {shlex.quote(str(out))} --resume"
    with _ForwardedSignals() as signals:
        for attempt in range(max_restarts + 1):
            if attempt and (Path(out) / "run.json").exists():
                arguments = [data, "--out", str(out), "--resume"]
            codes, first = _run(workers, [*flags, "train", *arguments], logs, signals)
            failed = _first_cause(codes, first)
            if failed is None:
                return codes[0]
            if signals.first:
                logger.warning(f"resume with: {resume}")
                return PreemptedError.exit_code if signals.first == signal.SIGTERM else 1
            _log_failure(failed, codes[failed], logs)
            can_restart = codes[failed] < 0 or codes[failed] == PreemptedError.exit_code
            if not can_restart:
                return codes[failed]
            if attempt < max_restarts:
                logger.warning(f"restart {attempt + 1} of {max_restarts} from the last checkpoint")
    logger.warning(f"resume with: {resume}")
    return PreemptedError.exit_code


def _run(
    workers: int, command: Sequence[str], logs: Path, signals: "_ForwardedSignals"
) -> tuple[list[int], int | None]:
    """Start all workers and wait for all.

    Returns:
        Their exit codes (minus the number of the signal that ended one), and the index of the first that failed, or
        None.
    """
    logs.mkdir(parents=True, exist_ok=True)
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(workers):
            processes.append(_start(number, addresses, command, logs))
        if workers > 1:
            others = f"worker-1.log to worker-{workers - 1}.log" if workers > 2 else "worker-1.log"
            logger.info(f"{workers} workers on this machine; the output of the others is in {logs}/{others}")
        first = _watch(processes, signals)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
    return [process.wait() for process in processes], first


def _watch(processes: Sequence["subprocess.Popen[bytes]"], signals: "_ForwardedSignals") -> int | None:
    """Wait until all have ended, or until the time that the rest has after a failure is over."""
    first: int | None = None
    failed_at: float | None = None
    forwarded: int | None = None
    while any(process.poll() is None for process in processes):
        time.sleep(POLL_SECONDS)
        if signals.first and forwarded is None:
            forwarded = signals.first
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signals.first)
        if first is None:
            ended = (n for n, process in enumerate(processes) if process.poll() not in (None, 0, 3))
            first = next(ended, None)
            failed_at = time.monotonic() if first is not None else None
        if signals.count > 1 or (failed_at is not None and time.monotonic() - failed_at > GRACE):
            break
    return first


def _start(number: int, addresses: Sequence[str], command: Sequence[str], logs: Path) -> "subprocess.Popen[bytes]":
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    environment = os.environ | {"TF_CONFIG": json.dumps(task)} | _gpus(number, len(addresses))
    cores = _cores(number, len(addresses))
    log = None if number == 0 else open(logs / f"worker-{number}.log", "a")  # noqa: SIM115

    def prepare() -> None:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)
        if cores:
            os.sched_setaffinity(0, cores)

    try:
        return subprocess.Popen(
            [sys.executable, "-m", "retinue.cli", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches them through this process alone
            preexec_fn=prepare if sys.platform == "linux" else None,
        )
    finally:
        if log:
            log.close()


def _first_cause(codes: Sequence[int], first: int | None) -> int | None:
    """Return the index of the worker that failed first, ignoring those that failed only because a peer disappeared.

    It is None if no worker failed.
    """
    failed = [number for number, code in enumerate(codes) if code not in (0, 3)]
    causes = [number for number in failed if codes[number] not in (PreemptedError.exit_code, -signal.SIGKILL)]
    return first if first is not None and (first in causes or not causes) else next(iter(causes or failed), None)


def _log_failure(number: int, code: int, logs: Path) -> None:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    logger.warning(f"worker {number} {how}; the others were ended, too")
    log = logs / f"worker-{number}.log"
    if number and code > 0 and log.exists():
        for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            logger.warning(f"  {line}")


def _cores(number: int, workers: int) -> set[int] | None:
    """Return the cores of a worker, an equal part of them, or None if there are fewer cores than workers."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // workers
    return set(cores[number * each : (number + 1) * each]) or None


def _gpus(number: int, workers: int) -> dict[str, str]:
    """Return the environment variable that gives a worker an equal part of the GPUs, if there are any."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        folder = Path("/proc/driver/nvidia/gpus")
        names = [str(n) for n in range(len(list(folder.iterdir())))] if folder.is_dir() else []
    else:
        names = [name for name in listed.split(",") if name.strip()]
    each = len(names) // workers
    return {"CUDA_VISIBLE_DEVICES": ",".join(names[number * each : (number + 1) * each])} if names else {}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class _ForwardedSignals:
    """A context that notes SIGTERM and Ctrl-C, which are forwarded to the workers.

    Attributes:
        first: the number of the first signal, or None.
        count: how many there were.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.count = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "_ForwardedSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.first, self.count = self.first or number, self.count + 1
