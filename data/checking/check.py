"""Looking for trouble in a dataset before it costs a night: bad files, duplicates, leaks, classes without photos."""

import dataclasses
import time
import warnings
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.machine import usable_cores
from retinue.data.checking.check_boxes import check_boxes
from retinue.data.checking.check_masks import check_masks
from retinue.data.checking.check_report import Report
from retinue.data.dataset import SPLITS
from retinue.data.decoding.image_file import probe
from retinue.data.finding import BAD, NOTE, WARNING, Finding
from retinue.data.readers.objects import keep_objects

WITH_PARTS = {"detection": "object", "segmentation": "pixel"}  # the tasks whose pictures show several things
CHUNK = 64  # files that a thread takes at once


def check(
    dataset,
    *,
    on_invalid="stop",
    max_invalid_fraction=0.03,
    max_pixels=200_000_000,
    workers=None,
    progress=None,
    training=True,
    anchors=None,
):
    """Decode every file of `dataset` and look for all that would spoil a training. Gives a `Report`.

    on_invalid, max_invalid_fraction, max_pixels: as in the configuration's section data. workers: threads, by default
    one a core.
    progress: called with (files done, files in all). training: also ask what training needs (two classes, every class
    in the training split); False for data that is only evaluated. anchors: for detection, the `AnchorGrid` of the
    model. The report's dataset has its `content_ids` filled, and for detection only boxes that can be right; for
    segmentation it knows the pixels of each class.
    """
    begin = time.perf_counter()
    images = _probe_all(dataset, max_pixels, workers, progress)
    dataset = dataclasses.replace(dataset, content_ids=[image.content_id for image in images])
    bad = np.array([image.bad is not None for image in images], bool)
    places = dataset.columns.get("place", np.full(len(images), "", object))
    findings = list(dataset.findings) + _file_findings(dataset.files, images, places)
    would_fail, objects = [], None
    cure = (
        "mend them, or leave them out with --set data.on_invalid=skip" if training else "mend them, or take them away"
    )
    if dataset.task == "detection":
        boxes = check_boxes(
            dataset,
            images,
            on_invalid=on_invalid,
            max_invalid_fraction=max_invalid_fraction,
            anchors=anchors,
            way_out=cure,
        )
        dataset, objects = boxes.dataset, boxes.summary
        findings += boxes.findings
        bad |= boxes.bad_files
        would_fail += boxes.would_fail
    masks = None
    if dataset.task == "segmentation":
        looked = check_masks(dataset, images, workers)
        dataset, masks = looked.dataset, looked.summary
        findings += looked.findings
        bad |= looked.bad_files
    duplicate_groups = _duplicate_groups(images)
    findings += _duplicate_findings(dataset, duplicate_groups)
    findings += _group_findings(dataset)
    would_fail = _too_many_bad(dataset, findings, bad, on_invalid, max_invalid_fraction, cure) + would_fail
    counts = _class_counts(dataset, ~bad)
    if training:
        learned = _class_counts(_without_ignored(dataset), ~bad) if dataset.task == "detection" else counts
        would_fail += _missing_classes(dataset, learned, counts)
        findings += _rare_classes(dataset, learned)
        findings += _classes_without_objects(dataset, learned)
    return Report(
        dataset=dataset,
        images=images,
        findings=findings,
        bad_rows=np.flatnonzero(bad),
        class_counts=counts,
        duplicate_groups=duplicate_groups,
        would_fail=would_fail,
        seconds=time.perf_counter() - begin,
        objects=objects,
        masks=masks,
        skips=on_invalid == "skip" and any(finding.severity == BAD for finding in findings),
    )


def _probe_all(dataset, max_pixels, workers, progress):
    """`probe` (of clips `probe_clip`) of every file, in order, in threads: Pillow and OpenCV let go of Python's lock
    while they decode."""
    files = dataset.files
    if dataset.task == "video":
        from retinue.data.decoding.clip_probe import probe_clip  # imports OpenCV

    def probe_some(rows):
        if dataset.task == "video":
            parts = dataset.columns["start"], dataset.columns["end"]
            return [probe_clip(files[row], *(float(part[row]) for part in parts), max_pixels) for row in rows]
        return [probe(files[row], max_pixels) for row in rows]

    chunk = 1 if dataset.task == "video" else CHUNK
    chunks = [range(start, min(start + chunk, len(files))) for start in range(0, len(files), chunk)]
    images = []
    # Pillow warns of odd metadata, which says nothing about the pixels, and would do so once a file.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(workers or usable_cores()) as pool:
        for some in pool.map(probe_some, chunks):
            images += some
            if progress:
                progress(len(images), len(files))
    return images


def _file_findings(files, images, places):
    """places: where the source names each file, in words, "" for a file that it need not name."""
    findings = []
    for name, image, place in zip(files, images, places, strict=True):
        if image.bad:
            kind, reason, cure = image.bad
            said = f"{place}: {reason}" if place else reason
            findings.append(Finding(BAD, kind, name, place, said, f"left out; {cure}"))
        for kind, reason in image.remarks:
            severity = NOTE if kind == "animated" else WARNING
            findings.append(Finding(severity, kind, name, "", reason, "used as it is"))
    return findings


def _duplicate_groups(images):
    """Arrays of rows whose files have the same bytes; bad files are left aside."""
    rows_of = defaultdict(list)
    for row, image in enumerate(images):
        if image.bad is None:
            rows_of[image.bytes, image.content_id].append(row)
    return [np.array(rows, np.int64) for rows in rows_of.values() if len(rows) > 1]


def _label_set(dataset, row):
    labels = dataset.columns["labels"][row] if "labels" in dataset.columns else [dataset.columns["label"][row]]
    return frozenset(int(label) for label in labels)


def _label_names(dataset, row):
    return "+".join(sorted(dataset.classes[label] for label in _label_set(dataset, row))) or "nothing"


def _duplicate_findings(dataset, groups):
    """For each copy: leaks over splits, contradicting labels, else plain repetition."""
    findings = []
    order = {name: place for place, name in enumerate(("train", "", "val", "test"))}
    for rows in groups:
        first, *others = sorted(rows.tolist(), key=lambda row: (order[dataset.splits[row]], row))
        for row in others:
            file, original = dataset.files[row], dataset.files[first]
            here, there = dataset.splits[row], dataset.splits[first]
            leaks, contradicts = here != there, _label_set(dataset, row) != _label_set(dataset, first)
            if leaks:
                reason = f"in {here or 'no split'}, and the same bytes are in {there or 'no split'} as {original}"
                action = "kept; the score will look too good: delete one of the two"
                findings.append(Finding(WARNING, "duplicate across splits", file, "", reason, action))
            if contradicts:
                names = _label_names(dataset, row), _label_names(dataset, first)
                reason = f"labelled {names[0]}, and the same bytes are labelled {names[1]} as {original}"
                action = "kept; correct one of the two labels"
                findings.append(Finding(WARNING, "same photo, other label", file, names[0], reason, action))
            if not leaks and not contradicts:
                findings.append(
                    Finding(NOTE, "duplicate", file, "", f"the same bytes as {original}", "kept, in the same split")
                )
    return findings


def _group_findings(dataset):
    """Groups that the given splits tear apart."""
    if dataset.groups is None:
        return []
    splits_of, file_of = defaultdict(set), {}
    for group, split, file in zip(dataset.groups, dataset.splits, dataset.files, strict=True):
        if group and split:
            splits_of[group].add(split)
            file_of.setdefault(group, file)
    return [
        Finding(
            WARNING,
            "group across splits",
            file_of[group],
            group,
            f"the group {group} is in {' and '.join(name for name in SPLITS if name in splits)}",
            "kept; the score will look too good: give the group one split",
        )
        for group, splits in splits_of.items()
        if len(splits) > 1
    ]


def _class_counts(dataset, usable):
    """{split: files (or objects) of each class, int64 `[classes]`} of usable files, for each split that is there."""
    return {
        name: dataset.take(usable & (dataset.splits == name)).class_counts()
        for name in ("", *SPLITS)
        if (dataset.splits == name).any()
    }


def _without_ignored(dataset):
    """The dataset without crowds and difficult objects, which are not learned."""
    ignored = dataset.columns["crowd"].values | dataset.columns["difficult"].values
    return dataclasses.replace(dataset, columns=keep_objects(dataset, ~ignored))


def _too_many_bad(dataset, findings, bad, on_invalid, max_invalid_fraction, cure):
    if bad.all():
        first = next((finding for finding in findings if finding.severity == BAD), None)
        return ["no file can be used" + (f", the first is {first.file}: {first.reason}" if first else "")]
    # A reader leaves a file out whose annotation is broken: that is no row here, and bad all the same.
    left_out = sum(finding.severity == BAD and not finding.item for finding in dataset.findings)
    count, total = int(bad.sum()) + left_out, len(bad) + left_out
    if on_invalid == "skip" or count / total <= max_invalid_fraction:
        return []
    return [f"{count:,} of {total:,} files are bad ({count / total:.1%}, more than {max_invalid_fraction:.0%}); {cure}"]


def _trainable(counts, classes):
    """Files of each class that training can have: those of the train split and those without a split."""
    return counts.get("", np.zeros(classes, np.int64)) + counts.get("train", np.zeros(classes, np.int64))


def _missing_classes(dataset, learned, counts):
    """Reasons; learned: counts of what is learned; counts: with crowds and difficult objects."""
    trainable = _trainable(learned, len(dataset.classes))
    if dataset.task in WITH_PARTS:
        if trainable.any():
            return []
        ignored = int(_trainable(counts, len(dataset.classes)).sum()) if dataset.task == "detection" else 0
        only = f": the {ignored:,} there are crowds or difficult, which are not learned" if ignored else ""
        return [f"no {WITH_PARTS[dataset.task]} is left for training{only}"]
    noun = "clip" if dataset.task == "video" else "photo"
    if not trainable.any():
        return [f"no {noun} is left for training"]
    reasons = []
    missing = [name for name, count in zip(dataset.classes, trainable, strict=True) if not count]
    if missing:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        which = "class has" if len(missing) == 1 else "classes have"
        reasons.append(
            f"{len(missing)} {which} no usable {noun} to train on: {some}; add {noun}s to train, or take the class out"
        )
    if len(dataset.classes) == 1 and not dataset.multi_label:
        reasons.append(f"there is only one class, {dataset.classes[0]}; add a class to tell it from")
    return reasons


def _classes_without_objects(dataset, counts):
    """Of detection and segmentation: the others can be learnt all the same, so it may be meant."""
    if dataset.task not in WITH_PARTS:
        return []
    part = WITH_PARTS[dataset.task]
    return [
        Finding(
            WARNING,
            f"class without {part}s",
            dataset.source,
            name,
            f"the class {name} has no {part} to train on: it will never be found",
            "kept; add pictures, or take the class out",
        )
        for name, count in zip(dataset.classes, _trainable(counts, len(dataset.classes)), strict=True)
        if not count
    ]


def _classes_in_one_group(dataset, trainable):
    if dataset.groups is None or "label" not in dataset.columns:
        return []
    groups_of = defaultdict(set)
    for row, (label, group, split) in enumerate(
        zip(dataset.columns["label"], dataset.groups, dataset.splits, strict=True)
    ):
        if split in ("", "train"):
            groups_of[int(label)].add(group or row)
    return [
        Finding(
            WARNING,
            "class in one group",
            dataset.source,
            dataset.classes[label],
            f"all photos of the class {dataset.classes[label]} are in one group: it is trained on, and can't be scored",
            "kept; add another group",
        )
        for label, groups in sorted(groups_of.items())
        if len(groups) == 1 and trainable[label] > 1
    ]


def _rare_classes(dataset, counts):
    """Classes that can't be both learnt and scored, and names that differ by nothing but case."""
    findings = []
    trainable = _trainable(counts, len(dataset.classes))
    noun = {"detection": "object", "video": "clip"}.get(dataset.task, "photo")
    for index, name in enumerate(dataset.classes):
        if "val" in counts:
            if trainable[index] and not counts["val"][index]:
                reason = f"the class {name} has no {noun} in val: it can't be scored"
                findings.append(Finding(WARNING, "class not in val", dataset.source, name, reason, "kept; add photos"))
        elif trainable[index] == 1:
            reason = f"the class {name} has one {noun}: it is trained on, and can't be scored"
            findings.append(
                Finding(WARNING, f"class with one {noun}", dataset.source, name, reason, "kept; add photos")
            )
    findings += _classes_in_one_group(dataset, trainable)
    spelled = defaultdict(list)
    for name in dataset.classes:
        spelled[name.strip().casefold()].append(name)
    for names in spelled.values():
        if len(names) > 1:
            reason = f"the classes {' and '.join(names)} differ by nothing but case or spaces"
            action = "kept apart; if they are one class, give them one name"
            findings.append(Finding(WARNING, "classes alike", dataset.source, names[-1], reason, action))
    return findings
