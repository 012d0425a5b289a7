"""`retinue flow`: the optical flow of many clips, computed on all cores and stored, resumable after a kill."""

import collections
import csv
import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import usable_cores
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.runs.progress import failure_lines
from retinue.tasks.video import flow, stored_flow

logger = logging.getLogger(__name__)

CLIPS_AHEAD = 4  # clips for each core that are in flight; this bounds the memory for a list of a million files

# The name of the flow file, the number of fields, and whether it is new; or the reason why there is none.
ClipResult = tuple[str, int, bool] | str


@dataclass
class FlowSummary:
    """What a call of `extract_flow` did.

    Attributes:
        clips: the number of clips whose flow was computed.
        fields: the number of flow fields that were computed.
        skipped: the number of clips whose flow was complete already.
        failures: (file, reason) of each clip that could not be read.
        seconds: the time that it took.
    """

    clips: int = 0
    fields: int = 0
    skipped: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 3 if some clips could not be read, else 0."""
        return 3 if self.failures else 0

    def __str__(self) -> str:
        """Return the line for the screen."""
        per_second = self.fields / self.seconds if self.seconds else 0
        skipped = f" ({self.skipped:,} were computed before)" if self.skipped else ""
        return (
            f"{self.clips:,} clips{skipped}, {self.fields:,} flow fields, {per_second:,.0f} per second, "
            f"{len(self.failures):,} failures"
        )


def extract_flow(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    method: str = "dis",
    bound: float = 8.0,
    size: tuple[int, int] = (128, 170),
) -> FlowSummary:
    """Compute the optical flow of clips and store it in a folder.

    The folder gets one file for each clip, completely or not at all (see tasks/video/stored_flow.py). Clips whose file
    is complete are skipped. `clips.csv` lists the clip of each file, and `failures.csv` the clips that could not be
    read.

    Args:
        sources: the clips; see `sources.find_files`.
        out: the folder.
        method: the algorithm, as in `video.flow_method`.
        bound: the largest motion in pixels that 8 bits represent, as in `video.flow_bound`.
        size: (height, width) in pixels to which the frames are resized first, as in `video.frame_size`.

    Returns:
        The summary.

    Raises:
        UsageError: the method is not available, there are no clips, or the flow in the folder has other settings.
        RetinueError: the folder can't be written.
    """
    flow.check_method(method)
    if bound <= 0 or min(size) < flow.MIN_SIDE:
        raise UsageError(
            f"--bound {bound:g}, --size {size[0]}x{size[1]}: use a bound above 0 and sides of {flow.MIN_SIDE} or more"
        )
    files = find_files(sources, exclude=out, clips=True)
    summary, started = FlowSummary(), time.perf_counter()
    rows: list[tuple[str, str, int]] = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # each core computes a clip of its own, so threads of OpenCV would wait for each other
    try:
        with ThreadPoolExecutor(usable_cores(), "flow") as pool:
            for file, result in _in_order(pool, lambda file: _extract(file, out, method, bound, size), files):
                _count(summary, rows, file, result)
    finally:
        cv2.setNumThreads(threads)
    summary.seconds = time.perf_counter() - started
    atomic_write(os.path.join(out, "clips.csv"), _csv(("file", "flow", "fields"), rows))
    failures = os.path.join(out, "failures.csv")
    if summary.failures:
        atomic_write(failures, _csv(("file", "reason"), summary.failures))
    elif os.path.exists(failures):
        os.unlink(failures)
    logger.info(str(summary))
    for line in failure_lines(summary.failures, failures):
        logger.warning(line)
    return summary


def _extract(file: str, out: str | os.PathLike[str], method: str, bound: float, size: tuple[int, int]) -> ClipResult:
    """Compute the flow of one clip. Raises UsageError if its flow is stored with other settings."""
    try:
        name = os.path.basename(stored_flow.flow_file(out, file))
        stored = stored_flow.open_flow(out, file, method, bound, size)
        if stored is None:
            return name, stored_flow.write_flow(out, file, method, bound, size), True
        return name, stored.num_fields, False
    except UsageError:
        raise
    except (RetinueError, cv2.error) as error:
        return str(error)
    except OSError as error:
        if error.filename and os.path.abspath(error.filename) == os.path.abspath(file):
            return f"{file}: the clip can't be read ({error.strerror})"
        raise RetinueError(
            f"{out}: the folder can't be written ({error.strerror}); free disk space, then run the same command again"
        ) from error


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[str], ClipResult], files: Iterable[str]
) -> Iterator[tuple[str, ClipResult]]:
    """Yield (file, result) in the order of the files, while a few of them are in flight."""
    in_flight: collections.deque[tuple[str, Future[ClipResult]]] = collections.deque()
    for file in files:
        in_flight.append((file, pool.submit(function, file)))
        if len(in_flight) > CLIPS_AHEAD * usable_cores():
            first, future = in_flight.popleft()
            yield first, future.result()
    for file, future in in_flight:
        yield file, future.result()


def _count(summary: FlowSummary, rows: list[tuple[str, str, int]], file: str, result: ClipResult) -> None:
    if isinstance(result, str):
        summary.failures.append((file, result))
        return
    name, fields, is_new = result
    rows.append((file, name, fields))
    if is_new:
        summary.clips += 1
        summary.fields += fields
    else:
        summary.skipped += 1


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
