"""What the screen shows while a job runs: a progress bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from retinue.configs import logs

SHOWN_FAILURES = 5  # on the screen


def failure_lines(failures: Iterable[tuple[str, str]], listed: str | os.PathLike[str]) -> list[str]:
    """Return the first failures as lines, and a line that says where all are listed.

    Args:
        failures: (file, reason) pairs.
        listed: the file that lists all of them.
    """
    lines, count = [], 0
    for file, reason in failures:
        count += 1
        if count <= SHOWN_FAILURES:
            lines.append(f"  {reason if reason.startswith(file) else f'{file}: {reason}'}")
    if count > SHOWN_FAILURES:
        lines.append(f"  and {count - SHOWN_FAILURES:,} more")
    return [*lines, f"  all are listed in {listed}"] if count else []


def count_files(done: int, total: int) -> None:
    """Show on a terminal how many files are checked. Elsewhere nothing is shown."""
    if logs.shows_progress() and sys.stderr.isatty():
        sys.stderr.write(f"\rchecked {done:,} of {total:,} files" if done < total else "\r\033[K")
        sys.stderr.flush()


class Progress:
    """The progress of one epoch: steps, images per second, time left, fraction of the time spent waiting for data.

    Messages that are logged while the bar is visible are printed above it.

    Args:
        noun: what is counted, "images" or "clips".
        show_bar: whether to draw a bar, if messages are printed and the standard output is a terminal.
    """

    def __init__(self, noun: str = "images", show_bar: bool = True) -> None:
        self.noun = noun
        self._bar: Any = None
        if show_bar and logs.shows_progress() and sys.stdout.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[speed]:.0f} " + noun + "/s, {task.fields[waiting]:.0%} waiting for data"),
                TimeRemainingColumn(),
                console=Console(),  # rich's shared one keeps for good whether the first output was a terminal
                transient=True,
            )

    def start(self, description: str, total: int, done: int = 0) -> None:
        """Begin an epoch.

        Args:
            description: the text in front of the bar.
            total: the number of steps.
            done: how many of them were done before.
        """
        self._started_at, self._images = time.perf_counter(), 0
        if self._bar:
            self._bar.start()
            logs.print_lines_with(self._print_above)
            self._row = self._bar.add_task(description, total=total, completed=done, speed=0.0, waiting=0.0)

    def step(self, images: int, input_wait_seconds: float) -> None:
        """Count one step.

        Args:
            images: the number of images in the step.
            input_wait_seconds: the time spent waiting for data since the start of the epoch.
        """
        self._images += images
        if self._bar:
            seconds = max(time.perf_counter() - self._started_at, 1e-6)
            waiting = input_wait_seconds / seconds
            self._bar.update(self._row, advance=1, speed=self._images / seconds, waiting=waiting)

    def stop(self) -> None:
        """Remove the bar: the epoch has ended or was interrupted."""
        if self._bar and self._bar.live.is_started:
            self._bar.remove_task(self._row)
            self._bar.stop()
            logs.print_lines_with(None)

    def _print_above(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)
