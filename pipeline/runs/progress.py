"""What the screen shows while training goes on: a bar on a terminal, plain lines elsewhere."""

import sys
import time

from retinue.configs import logs

SHOWN = 5  # failures on the screen


def failure_lines(failures, listed):
    """The first few of `failures`, an iterable of (file, reason), as lines, and where all of them are `listed`."""
    lines, count = [], 0
    for file, reason in failures:
        count += 1
        if count <= SHOWN:
            lines.append(f"  {reason if reason.startswith(file) else f'{file}: {reason}'}")
    if count > SHOWN:
        lines.append(f"  and {count - SHOWN:,} more")
    return [*lines, f"  all are listed in {listed}"] if count else []


def count_files(done, total):
    """Show on a terminal how far the check is; nothing elsewhere."""
    if logs.shows_progress() and sys.stderr.isatty():
        sys.stderr.write(f"\rchecked {done:,} of {total:,} files" if done < total else "\r\033[K")
        sys.stderr.flush()


class Progress:
    """One epoch's progress: steps done, pictures a second, time left, share of time waiting for data.

    noun: what is counted, "images" or "clips". bar: whether to draw one, which is only done when messages are printed
    and standard output is a terminal. What is logged while the bar is there is printed above it.
    """

    def __init__(self, noun="images", bar=True):
        self.noun = noun
        self._bar = None
        if bar and logs.shows_progress() and sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[rate]:.0f} " + noun + "/s, {task.fields[waiting]:.0%} waiting for data"),
                TimeRemainingColumn(),
                transient=True,
            )

    def start(self, description, total, done=0):
        """Begin an epoch of `total` steps of which `done` were made before."""
        self._started, self._done = time.perf_counter(), 0
        if self._bar:
            self._bar.start()
            logs.print_lines_with(self._print_above)
            self._row = self._bar.add_task(description, total=total, completed=done, rate=0.0, waiting=0.0)

    def step(self, images, input_wait_seconds):
        """One step of `images` is done; `input_wait_seconds` since the epoch's start went to waiting for data."""
        self._done += images
        if self._bar:
            seconds = max(time.perf_counter() - self._started, 1e-6)
            self._bar.update(self._row, advance=1, rate=self._done / seconds, waiting=input_wait_seconds / seconds)

    def stop(self):
        """The epoch has ended, or was broken off."""
        if self._bar and self._bar.live.is_started:
            self._bar.remove_task(self._row)
            self._bar.stop()
            logs.print_lines_with(None)

    def _print_above(self, text):
        self._bar.console.print(text, highlight=False, markup=False)
