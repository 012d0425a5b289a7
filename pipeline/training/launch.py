"""`retinue launch`: training by several worker processes on this machine, watched, and started again after a fault."""

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
from pathlib import Path

from retinue.configs.errors import PreemptedError, UsageError

logger = logging.getLogger(__name__)

GRACE = 15.0  # seconds that the others have to notice that one is gone; TensorFlow takes 10
WATCH = 0.2  # seconds between two looks at the workers
TAIL = 5  # lines of a failed worker's log on the screen
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


def launch(workers, data, arguments, out, *, restarts=0, flags=()):
    """Run `retinue train` in `workers` processes that learn together. Returns the exit code of the job.

    data, out: those of the train command; arguments: all of that command, without `train`. restarts: how often to go on
    from the last checkpoint by itself when a worker was killed, was hung, or lost another; not after an error that a
    person must mend. flags: options of `retinue` itself for the workers, such as -q.
    The chief, worker 0, writes on this terminal; the others in `OUT-logs/worker-N.log`. SIGTERM and Ctrl-C are passed
    on once: the workers save and end; a second one ends them at once. Raises UsageError when `out` is not given.
    """
    if not out:
        raise UsageError("launch: give the train command an --out, which it goes on with when it is started again")
    logs = Path(f"{str(out).rstrip('/')}-logs")
    resume = f"retinue launch --workers {workers} -- train {shlex.quote(data)} --out {shlex.quote(str(out))} --resume"
    with _Signals() as signals:
        for attempt in range(restarts + 1):
            if attempt and (Path(out) / "run.json").exists():
                arguments = [data, "--out", str(out), "--resume"]
            codes, first = _run(workers, [*flags, "train", *arguments], logs, signals)
            failed = _cause(codes, first)
            if failed is None:
                return codes[0]
            if signals.got:
                logger.warning(f"go on with: {resume}")
                return PreemptedError.exit_code if signals.got == signal.SIGTERM else 1
            _tell(failed, codes[failed], logs)
            can_go_on = codes[failed] < 0 or codes[failed] == PreemptedError.exit_code
            if not can_go_on:
                return codes[failed]
            if attempt < restarts:
                logger.warning(f"restart {attempt + 1} of {restarts}: going on from the last checkpoint")
    logger.warning(f"go on with: {resume}")
    return PreemptedError.exit_code


def _run(workers, command, logs, signals):
    """Start all, wait for all. Returns (their exit codes, minus a signal's number; which one failed first, or None)."""
    logs.mkdir(parents=True, exist_ok=True)
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    processes = []
    try:
        for number in range(workers):
            processes.append(_start(number, addresses, command, logs))
        if workers > 1:
            others = f"worker-1.log to worker-{workers - 1}.log" if workers > 2 else "worker-1.log"
            logger.info(f"{workers} workers on this machine; what the others say is in {logs}/{others}")
        first = _watch(processes, signals)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
    return [process.wait() for process in processes], first


def _watch(processes, signals):
    """Wait until all have ended, or until those that are left have had their time after a failure."""
    first = failed_at = passed_on = None
    while any(process.poll() is None for process in processes):
        time.sleep(WATCH)
        if signals.got and passed_on is None:
            passed_on = signals.got
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signals.got)
        if first is None:
            ended = (n for n, process in enumerate(processes) if process.poll() not in (None, 0, 3))
            first = next(ended, None)
            failed_at = time.monotonic() if first is not None else None
        if signals.count > 1 or (failed_at is not None and time.monotonic() - failed_at > GRACE):
            break
    return first


def _start(number, addresses, command, logs):
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    environment = os.environ | {"TF_CONFIG": json.dumps(task)} | _gpus(number, len(addresses))
    cores = _cores(number, len(addresses))
    log = None if number == 0 else open(logs / f"worker-{number}.log", "a")  # noqa: SIM115

    def prepare():
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


def _cause(codes, first):
    """Which worker's end was the cause: one that did not merely miss another. None when all went well."""
    failed = [number for number, code in enumerate(codes) if code not in (0, 3)]
    causes = [number for number in failed if codes[number] not in (PreemptedError.exit_code, -signal.SIGKILL)]
    return first if first is not None and (first in causes or not causes) else next(iter(causes or failed), None)


def _tell(number, code, logs):
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    logger.warning(f"worker {number} {how}; the others were ended too")
    log = logs / f"worker-{number}.log"
    if number and code > 0 and log.exists():
        for line in log.read_text(errors="replace").splitlines()[-TAIL:]:
            logger.warning(f"  {line}")


def _cores(number, workers):
    """This worker's equal share of the cores, or None where there are fewer cores than workers."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // workers
    return set(cores[number * each : (number + 1) * each]) or None


def _gpus(number, workers):
    """The environment variable that gives this worker its equal share of the GPUs, if there are any."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        folder = Path("/proc/driver/nvidia/gpus")
        names = [str(n) for n in range(len(list(folder.iterdir())))] if folder.is_dir() else []
    else:
        names = [name for name in listed.split(",") if name.strip()]
    each = len(names) // workers
    return {"CUDA_VISIBLE_DEVICES": ",".join(names[number * each : (number + 1) * each])} if names else {}


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class _Signals:
    """Notes SIGTERM and Ctrl-C, to be passed on. got: the number of the first; count: how many."""

    def __init__(self):
        self.got, self.count, self.before = None, 0, {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number, _):
        self.got, self.count = self.got or number, self.count + 1
