"""A Ray to work on: one of our own on this machine, which leaves nothing behind, or a cluster that is there."""

import contextlib
import importlib.util
import logging
import os
import secrets
import socket

from retinue.configs.errors import RetinueError, UsageError, last_line
from retinue.configs.machine import usable_cores
from retinue.configs.process_state import environment_variable
from retinue.data.storage.scratch import scratch_folder

STORE_BYTES = 500_000_000  # of our own Ray, for answers on their way; what does not fit goes to the disk
KNOCKS_FOR = 10.0  # seconds
DEATHS = "worker died|running low on memory|marked dead"  # of what Ray prints when workers or machines are lost
INSTALL = "`pip install 'retinue[ray]'`"
TOKEN = secrets.token_hex(32)  # without which nobody else may use our own Ray; it keeps the first that a process has


class Cluster:
    """A connection to Ray.

    address: of a cluster ("auto", "host:6379", "ray://host:10001"), or None for a Ray of our own.
    ray: the module; machines: a list of (cores, GPUs) of each machine that has cores for us; scratch: a folder for what
    workers need for a while, or None for the system's on each machine.
    Raises UsageError when Ray is not installed, in use, or there is no cluster at `address`, and RetinueError when our
    own does not start.
    """

    def __init__(self, address=None):
        if importlib.util.find_spec("ray") is None:
            raise UsageError(f"--engine ray: Ray is not installed; {INSTALL}")
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # or it would tell its makers that it is used
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it would tell the user of its plans
        ray = _import_ray()
        if ray.is_initialized():
            raise UsageError("--engine ray: this process is connected to Ray already; `ray.shutdown()` first")
        self.ray, self.own, self.scratch = ray, address is None, None
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as opened:
            if self.own:
                # Ray's sockets lie in it, whose paths must be short.
                base = os.environ.get("RAY_TMPDIR") or ("/tmp" if os.path.isdir("/tmp") else None)
                self.scratch = str(opened.enter_context(scratch_folder(base)))
                opened.enter_context(_our_token())
            _connect(ray, address, self.scratch)
            opened.callback(ray.shutdown)
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self.machines = [(int(node["CPU"]), int(node.get("GPU", 0))) for node in nodes if node.get("CPU", 0) >= 1]
            if not self.machines:
                raise UsageError(f"--address {address}: none of its machines has a core for us")
            self._closing = opened.pop_all()

    def close(self):
        """Let go of the cluster; our own ends, with all of its processes and files."""
        self._closing.close()


@contextlib.contextmanager
def _our_token():
    """While our own Ray is there, it takes our token; by itself it would leave one in the user's home."""
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    os.environ.setdefault("RAY_AUTH_TOKEN", TOKEN)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _connect(ray, address, folder):
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    try:
        if address is None:
            own = {"include_dashboard": False, "object_store_memory": STORE_BYTES, "_temp_dir": folder}
            ray.init(address="local", num_cpus=usable_cores(), **own, **quiet)
        else:
            _knock(address)
            ray.init(address=address, **quiet)
    except Exception as error:  # of many kinds
        if address is None:
            raise RetinueError(f"Ray did not start on this machine: {last_line(error)}") from error
        raise UsageError(
            f"--address {address}: there is no Ray cluster that lets us in ({last_line(error)}); start one with "
            "`ray start --head`, or leave out --address to use this machine"
        ) from error


def _knock(address):
    """Raise OSError when nobody listens at "host:port" or "ray://host:port": Ray would try for two minutes, aloud."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), KNOCKS_FOR).close()


def _import_ray():
    """The module `ray`, which leaves out a long paragraph of every worker that dies: we report that in a line.

    Ray reads which messages to leave out when it is imported; where it is imported already, it prints them.
    """
    name = "RAY_DEDUP_LOGS_SKIP_REGEX"
    with contextlib.nullcontext() if name in os.environ else environment_variable(name, DEATHS):
        import ray
    return ray
