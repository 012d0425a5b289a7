"""The Ray to use: one that is started on this machine and leaves nothing behind, or an existing cluster."""

import contextlib
import importlib.util
import logging
import os
import secrets
import socket
from collections.abc import Iterator
from typing import Any

from retinue.configs.errors import RetinueError, UsageError, last_line
from retinue.configs.machine import usable_cores
from retinue.configs.process_state import environment_variable
from retinue.data.storage.scratch import scratch_folder

OBJECT_STORE_BYTES = 500_000_000  # of a Ray on this machine, for results in transit; Ray spills more to the disk
CONNECT_TIMEOUT = 10.0  # seconds
DEATH_MESSAGES = "worker died|running low on memory|marked dead"  # what Ray prints when it loses workers or machines
INSTALL = "`pip install 'retinue[ray]'`"
# Without this token nobody else may use the Ray on this machine. A process keeps the first token that it has.
TOKEN = secrets.token_hex(32)


class Cluster:
    """A connection to Ray.

    Args:
        address: the address of a cluster ("auto", "host:6379", "ray://host:10001"), or None to start Ray on this
            machine.

    Attributes:
        ray: the module `ray`.
        is_local: whether Ray was started on this machine, and ends with the connection.
        machines: (cores, GPUs) of each machine that has cores for us.
        scratch: the folder for temporary files of the workers, or None for that of each machine.

    Raises:
        UsageError: Ray is not installed, this process is connected already, or there is no cluster at `address`.
        RetinueError: Ray does not start on this machine.
    """

    def __init__(self, address: str | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UsageError(f"--engine ray: Ray is not installed; {INSTALL}")
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # by default Ray reports its use to its makers
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # by default Ray warns of a future change
        ray = _import_ray()
        if ray.is_initialized():
            raise UsageError("--engine ray: this process is connected to Ray already; call `ray.shutdown()` first")
        self.ray, self.is_local = ray, address is None
        self.scratch: str | None = None
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as opened:
            if self.is_local:
                # The sockets of Ray lie in this folder, and their paths must be short.
                base = os.environ.get("RAY_TMPDIR") or ("/tmp" if os.path.isdir("/tmp") else None)
                self.scratch = str(opened.enter_context(scratch_folder(base)))
                opened.enter_context(_token())
            _connect(ray, address, self.scratch)
            opened.callback(ray.shutdown)
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self.machines = [(int(node["CPU"]), int(node.get("GPU", 0))) for node in nodes if node.get("CPU", 0) >= 1]
            if not self.machines:
                raise UsageError(f"--address {address}: no machine of this cluster has a free core; add a machine")
            self._closing = opened.pop_all()

    def close(self) -> None:
        """Disconnect. A Ray on this machine ends, with all of its processes and files."""
        self._closing.close()


@contextlib.contextmanager
def _token() -> Iterator[None]:
    """Give a Ray on this machine our token. Otherwise it would write one into the user's home."""
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    os.environ.setdefault("RAY_AUTH_TOKEN", TOKEN)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _connect(ray: Any, address: str | None, folder: str | None) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    try:
        if address is None:
            local = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": folder}
            ray.init(address="local", num_cpus=usable_cores(), **local, **quiet)
        else:
            _try_connection(address)
            ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises many kinds
        if address is None:
            raise RetinueError(
                f"Ray did not start on this machine: {last_line(error)}; use --engine local instead"
            ) from error
        raise UsageError(
            f"--address {address}: there is no Ray cluster that accepts this connection ({last_line(error)}); start "
            "one with `ray start --head`, or omit --address to use this machine"
        ) from error


def _try_connection(address: str) -> None:
    """Raise OSError if nothing listens at "host:port" or "ray://host:port". Ray itself would retry for two minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()


def _import_ray() -> Any:
    """Return the module `ray`, without its long paragraph about each worker that dies, which we report in one line.

    Ray reads which messages to omit when it is imported. If it is imported already, it prints them.
    """
    name = "RAY_DEDUP_LOGS_SKIP_REGEX"
    with contextlib.nullcontext() if name in os.environ else environment_variable(name, DEATH_MESSAGES):
        import ray
    return ray
