"""Measure how many public datasets `retinue check` reads as they lie, and whether it misreads any.

    python benchmarks/corpus.py FOLDER [--retinue COMMAND]

FOLDER holds datasets in the layouts in which people publish them, and a `truth.json`: a list of entries with `path`,
`task` ("refused" where an error is right, "refused, or read" where both are), and the independently counted `images`,
`objects`, `classes` ({name: count}) and `splits` ({name: images}); null is not compared. Prints a table in Markdown and
ends with 1 if a dataset is misread.

A dataset is "read" if everything agrees, "refused" if check ends with an error, and "misread" if it is read as
something else.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def compare(truth: dict[str, Any], report: dict[str, Any]) -> list[str]:
    """Return what differs between the truth about a dataset and the report of its check."""
    wrong, expected = [], truth["task"].replace(",", " ").split()
    if "read" not in expected and report["task"] not in expected:
        wrong.append(f"task {report['task']}")
    if truth["images"] not in (None, report["files"]):
        wrong.append(f"{report['files']} images, not {truth['images']}")
    objects = report.get("objects") or {}
    num_objects = sum(objects.get(name, 0) for name in ("objects", "crowds", "left_out"))
    if report["task"] == "detection" and truth["objects"] not in (None, num_objects):
        wrong.append(f"{num_objects} objects, not {truth['objects']}")
    counts = {name: sum(splits.values()) for name, splits in report["classes"].items()}
    counts = {name: count for name, count in counts.items() if count}
    is_complete = report["task"] in ("detection", "classification") and not objects.get("left_out")
    if is_complete and truth["classes"] and counts != truth["classes"]:
        wrong.append(f"classes {counts}")
    splits = {name: count for name, count in report["splits"].items() if count}
    if truth["splits"] and splits != truth["splits"]:
        wrong.append(f"splits {splits}")
    return wrong


def check(command: str, folder: Path, truth: dict[str, Any]) -> tuple[str, str]:
    """Return "read", "refused" or "misread", and what differs or the message."""
    arguments = [command, "check", str(folder / truth["path"]), "--json"]
    process = subprocess.run(arguments, capture_output=True, text=True)
    try:
        report = json.loads(process.stdout)
    except ValueError:
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        return "refused", lines[-1]
    wrong = compare(truth, report)
    return ("misread", "; ".join(wrong)) if wrong else ("read", f"{report['format']}, {report['files']} images")


def main() -> None:
    """Check every dataset of the folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--retinue", default="retinue", help="the command to run")
    arguments = parser.parse_args()
    entries = json.loads((arguments.folder / "truth.json").read_text())
    num_right = num_misread = 0
    print("| dataset | expected | result | detail |\n|---|---|---|---|")
    for truth in entries:
        result, detail = check(arguments.retinue, arguments.folder, truth)
        num_right += result == "read" or (result == "refused" and "refused" in truth["task"])
        num_misread += result == "misread"
        print(f"| {truth['path']} | {truth['task']} | {result} | {detail.replace('|', '/')} |", flush=True)
    print(f"\n{num_right} of {len(entries)} as expected, {num_misread} misread")
    sys.exit(num_misread > 0)


if __name__ == "__main__":
    main()
