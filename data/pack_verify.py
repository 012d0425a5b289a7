"""Looking at every byte of a pack: every record's checksum, and every file against its content id."""

import os

import numpy as np
import tensorflow as tf

from retinue.data import packed
from retinue.data.finding import BAD, Finding
from retinue.data.pack_write import HEAD
from retinue.data.storage.content import damage

CHECKSUM = "checksum"


def verify_pack(folder, progress=None):
    """`Finding`s of all that is not as it was packed, each with its file, record and shard; none when all is well.

    folder: of a pack, or its address. progress: called with (records done, records in all). Raises UsageError where
    there is no pack, RetinueError when its index is damaged.
    """
    pack = packed.open_pack(folder)
    total, done, findings = sum(shard["records"] for shard in pack.index.shards), 0, []
    for number, shard in enumerate(pack.index.shards):
        rows = np.flatnonzero(pack.index.places.shard == number)
        findings += _look_at_shard(pack, shard, rows)
        done += shard["records"]
        if progress:
            progress(done, total)
    return findings


def _look_at_shard(pack, shard, rows):
    places, findings = pack.index.places, []
    path = os.path.join(pack.folder, shard["name"])
    begins = dict(zip(places.record[rows].tolist(), places.start[rows].tolist(), strict=True))
    names = {}
    for row in rows:
        names.setdefault(int(places.record[row]), _name(pack, row))

    def broken(record, reason):
        item = f"record {record} of {shard['name']}"
        return Finding(BAD, "damaged pack", names.get(record, path), item, f"{item}: {reason}", packed.AGAIN)

    def damaged(reason):
        return Finding(BAD, "damaged pack", path, "", reason, packed.AGAIN)

    found, failed = 0, False
    try:
        for record in tf.data.TFRecordDataset(path, buffer_size=1 << 23).as_numpy_iterator():
            if found >= shard["records"]:
                return [*findings, damaged("has more records than were packed")]
            if HEAD + len(record) + 4 + begins[found] != begins.get(found + 1, shard["bytes"]):
                findings.append(broken(found, "is not the record that was packed"))
            found += 1
    except tf.errors.NotFoundError:
        return [damaged(f"there is no such shard; {len(names):,} records were in it")]
    except tf.errors.OpError as error:
        failed = True
        why = error.message.splitlines()[0]
        if "corrupted" in why:
            why = "its checksum is wrong"
        elif "truncated" in why:
            why = f"its shard {shard['name']} ends in it; {packed.AGAIN}"
        findings.append(broken(found, why))
    if found < shard["records"] and not failed:
        findings.append(broken(found, f"is missing, and so are those behind it; the shard has {found:,} records"))
    told = {finding.item for finding in findings}
    for row in rows:  # behind a broken record the others can still be told by what the files hold
        try:
            why = damage(_name(pack, row))
        except OSError as error:
            why = error.strerror
        record = int(places.record[row])
        if why and f"record {record} of {shard['name']}" not in told:
            findings.append(broken(record, "does not hold what was packed" if "does not" in why else why))
    return findings


def _name(pack, row):
    return pack.folder.rstrip("/") + packed.MARK + pack.index.places.names[row]
