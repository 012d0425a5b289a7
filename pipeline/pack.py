"""`retinue pack`: data of any known format into TFRecord shards, from which training learns the very same."""

import dataclasses
import os
import shlex

import numpy as np

from retinue.configs.errors import UsageError
from retinue.configs.quiet import import_tensorflow
from retinue.data import packed
from retinue.data.checking.check_report import problem_lines
from retinue.data.finding import BAD
from retinue.pipeline.inputs.prepare import look_at, read_data, refuse_unfit
from retinue.pipeline.runs.progress import count_files

SHOWN = 20  # damaged records on the screen


def pack(source, config, out, *, task="auto", say=print):
    """Check the data at `source` and write what can be used of it as a pack into the folder `out`.

    config: `Config`, whose section data counts; task: as for `data.read.read`. A pack that a killed job began is gone
    on with; one that is there already, of the same data, is left as it is.
    Returns how many files, or other items, were left out. Raises RetinueError and UsageError, see `write_pack`.
    """
    if packed.is_address(out):
        raise UsageError(f"{out}: a pack is written to a local folder; copy that there (gcloud storage cp -r)")
    dataset = read_data(source, config, task=task, say=say)
    trains = bool(np.isin(dataset.splits, ("", "train")).any())  # there may be nothing but data to evaluate on
    report = look_at(dataset, config, training=trains)
    refuse_unfit(source, report)
    for line in problem_lines(report):
        say(line)
    usable, _ = report.usable()
    keep = np.setdiff1d(np.arange(len(dataset)), report.bad_rows)
    # The annotations stay as they were read: training checks them again, and does with them what it always does.
    dataset = dataclasses.replace(dataset.take(keep), content_ids=usable.content_ids)
    left_out = sum(finding.severity == BAD for finding in report.findings)
    import_tensorflow()
    from retinue.data.pack_write import holds, write_pack

    mask_ids = usable.columns.get("mask_id")
    if packed.is_pack(out):
        if not holds(packed.open_pack(out).index, dataset, mask_ids):
            raise UsageError(f"{out}: is a pack of other data, or of this data as it was before; give another --out")
        say(f"{out}: holds this data already")
    else:
        try:
            index = write_pack(dataset, out, mask_ids=mask_ids, fold=config.data.fold, say=say, progress=count_files)
        except KeyboardInterrupt:
            say("interrupted; the same command goes on with what is whole")
            raise
        size = sum(shard["bytes"] for shard in index.shards)
        noun = "clips" if dataset.task == "video" else "photos"
        say(f"packed   {len(dataset):,} {noun} into {len(index.shards):,} shards, {size / 1e6:,.1f} MB, in {out}")
    say(f"next:    retinue {'train' if trains else 'evaluate RUN'} {shlex.quote(os.fspath(out))}")
    return left_out


def verify(folder, say=print):
    """Read every byte of a pack. Returns whether all is as it was packed, and says what is not."""
    index = packed.open_pack(folder).index  # before TensorFlow is loaded: it may be none
    import_tensorflow()
    from retinue.data.pack_verify import verify_pack

    findings = verify_pack(os.fspath(folder), count_files)
    records = sum(shard["records"] for shard in index.shards)
    for finding in findings[:SHOWN]:
        say(f"  {finding.file}: {finding.reason}")
    if len(findings) > SHOWN:
        say(f"  and {len(findings) - SHOWN:,} more")
    if findings:
        say(f"{folder}: is not as it was packed; {packed.AGAIN}")
    else:
        say(f"{folder}: all {records:,} records in {len(index.shards):,} shards are as they were packed")
    return not findings
