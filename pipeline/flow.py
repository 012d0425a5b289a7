"""`retinue flow`: the optical flow of many clips, computed by all cores and stored, such that a killed run goes on."""

import collections
import csv
import io
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import usable_cores
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.runs.progress import failure_lines
from retinue.tasks.video import flow, stored_flow

logger = logging.getLogger(__name__)

AHEAD = 4  # clips a core that have been handed out; bounds what a list of a million files holds


@dataclass
class FlowSummary:
    """What a run did: clips and fields made, clips that were whole already, failures as (file, reason), seconds."""

    clips: int = 0
    fields: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self):
        """3 when some clips could not be read, else 0."""
        return 3 if self.failures else 0

    def __str__(self):
        rate = self.fields / self.seconds if self.seconds else 0
        done = f" ({self.skipped:,} were done before)" if self.skipped else ""
        failed = len(self.failures)
        return f"{self.clips:,} clips{done}, {self.fields:,} flow fields, {rate:,.0f} a second, {failed:,} failures"


def extract(sources, out, *, method="dis", bound=8.0, size=(128, 170)):
    """Compute and store the flow of every clip that `sources` name (see `sources.find_files`) into the folder `out`.

    A file a clip, written whole or not at all (see tasks/video/stored_flow.py); what is whole is not done again.
    `out/clips.csv` lists which file is of which clip, `out/failures.csv` what could not be read. method, bound in
    pixels, size (height, width) of the frames: as in the configuration's section video.
    Returns the `FlowSummary`. Raises UsageError for a method that is not there, no clips, or a folder whose flow was
    made otherwise.
    """
    flow.check_method(method)
    if bound <= 0 or min(size) < flow.MIN_SIDE:
        raise UsageError(f"--bound {bound:g}, --size {size[0]}x{size[1]}: a bound above 0, and sides of 16 or more")
    files = find_files(sources, skip=out, clips=True)
    summary, began, listed = FlowSummary(), time.perf_counter(), []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # each core has a clip of its own; OpenCV's own threads would wait for each other
    try:
        with ThreadPoolExecutor(usable_cores(), "flow") as pool:
            for file, result in _in_order(pool, lambda file: _one(file, out, method, bound, size), files):
                _count(summary, listed, file, result)
    finally:
        cv2.setNumThreads(threads)
    summary.seconds = time.perf_counter() - began
    atomic_write(os.path.join(out, "clips.csv"), _csv(("file", "flow", "fields"), listed))
    failures = os.path.join(out, "failures.csv")
    if summary.failures:
        atomic_write(failures, _csv(("file", "reason"), summary.failures))
    elif os.path.exists(failures):
        os.unlink(failures)
    logger.info(str(summary))
    for line in failure_lines(summary.failures, failures):
        logger.warning(line)
    return summary


def _one(file, out, method, bound, size):
    """(name of its flow, fields, whether it is new), or the reason why there is none. Another method's is an error."""
    try:
        target = stored_flow.flow_file(out, file)
        stored = stored_flow.open_flow(out, file, method, bound, size)
        if stored is None:
            return os.path.basename(target), stored_flow.write_flow(out, file, method, bound, size), True
        return os.path.basename(target), stored.num_fields, False
    except UsageError:
        raise
    except (RetinueError, cv2.error) as error:
        return str(error)
    except OSError as error:
        if error.filename and os.path.abspath(error.filename) == os.path.abspath(file):
            return f"{file}: can't be read ({error.strerror})"
        raise RetinueError(f"{out}: can't be written ({error.strerror}); make room, then run it again") from error


def _in_order(pool, function, files):
    """Yield (file, result) in the order of `files`, with a few under way."""
    waiting = collections.deque()
    for file in files:
        waiting.append((file, pool.submit(function, file)))
        if len(waiting) > AHEAD * usable_cores():
            first, future = waiting.popleft()
            yield first, future.result()
    for file, future in waiting:
        yield file, future.result()


def _count(summary, listed, file, result):
    if isinstance(result, str):
        summary.failures.append((file, result))
        return
    name, fields, new = result
    listed.append((file, name, fields))
    if new:
        summary.clips += 1
        summary.fields += fields
    else:
        summary.skipped += 1


def _csv(header, rows):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
