"""The picture of a detection: boxes with their labels and, where the truth is known, what is right and missed."""

import numpy as np
from PIL import Image, ImageDraw

from retinue.tasks import drawing
from retinue.tasks.detection.error_summary import FALSE_ALARM, PASSED_OVER, judge
from retinue.tasks.scores import counted

THRESHOLD = 0.4  # boxes with a lower score are not drawn
NARROWEST, NARROWEST_CROWDED = 400, 800  # pixels of the longer side; a smaller picture is enlarged, for its labels
CROWDED = 12  # boxes
# Okabe and Ito's colours, apart for colour-blind eyes, readable under black text.
COLORS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 190, 140),
    (240, 228, 66),
    (213, 120, 30),
    (204, 121, 167),
    (120, 160, 255),
)
MISSED, PAPER, INK = (204, 51, 17), (255, 255, 255), (0, 0, 0)
BRIGHT = 330  # of red, green and blue together; black letters are readable on it


def draw(image, prediction, classes, truth=None, threshold=THRESHOLD):
    """Draw the detections that score `threshold` or more.

    Without truth each class has its colour. With truth the boxes that are right are green, those of the wrong class
    blue, false alarms red, and objects that were missed are dashed red, each with a word that says so; objects that
    were found are not drawn again.

    image: uint8 `[h, w, 3]` RGB of any size. prediction: `{"detections": [{"label", "score", "box"}, ...]}`, with the
    box x1, y1, x2, y2 in its pixels. classes: names. truth: None, or what `truth_of_record` gives.
    Returns uint8 `[h', w', 3]`: the picture, enlarged by a whole factor if it is small.
    """
    found = [entry for entry in prediction["detections"] if entry["score"] >= threshold]
    found.sort(key=lambda entry: entry["score"])  # the surest last, on top
    canvas = _Canvas(image, len(found))
    if truth is None:
        place = {name: index for index, name in enumerate(classes)}
        for entry in found:
            color = COLORS[place.get(entry["label"], 0) % len(COLORS)]
            canvas.box(entry["box"], color, _named(entry))
        return canvas.pixels()
    names = truth["labels"]
    taken_for, missed = _judged(found, truth)
    for index in np.flatnonzero(missed):
        canvas.dashed(truth["boxes"][index], MISSED, f"missed: {names[index]}")
    for entry, index in zip(found, taken_for.tolist(), strict=True):
        if index == PASSED_OVER:
            canvas.box(entry["box"], drawing.FAINT, "")
        elif index == FALSE_ALARM:
            canvas.box(entry["box"], drawing.WRONG, f"✗ {_named(entry)}")
        elif names[index] == entry["label"]:
            canvas.box(entry["box"], drawing.RIGHT, f"✓ {_named(entry)}")
        else:
            canvas.box(entry["box"], drawing.NEUTRAL, f"{_named(entry)}, truth: {names[index]}")
    return canvas.pixels()


def draw_objects(image, boxes, labels, classes):
    """The picture with known objects alone, to see what is learnt: boxes `[n, 4]` in its pixels, labels `[n]`; negative
    ones, which are not learnt, in grey. Returns uint8 `[h', w', 3]`, enlarged by a whole factor if it is small."""
    canvas = _Canvas(image, len(boxes))
    for box, label in zip(boxes, labels, strict=True):
        canvas.box(
            box, COLORS[label % len(COLORS)] if label >= 0 else drawing.FAINT, classes[label] if label >= 0 else ""
        )
    return canvas.pixels()


def truth_of_record(dataset, record):
    """What `draw` and `in_words` take as the truth of a record of `dataset`: a dict of boxes float32 `[n, 4]`, labels,
    str objects `[n]`, and ignored bool `[n]` (crowds and difficult objects)."""
    names = np.array([dataset.classes[label] for label in record["labels"]], dtype=object)
    return {"boxes": record["boxes"], "labels": names, "ignored": record["crowd"] | record["difficult"]}


def in_words(prediction, truth, threshold=THRESHOLD):
    """A prediction beside the truth, for a report: (["5 objects"], [{"label": "4 found", "score": None, "right": True},
    ...]), with what was missed, mixed up or seen where nothing is."""
    found = [entry for entry in prediction["detections"] if entry["score"] >= threshold]
    found.sort(key=lambda entry: entry["score"])
    taken_for, missed = _judged(found, truth)
    right = sum(
        index >= 0 and truth["labels"][index] == entry["label"] for entry, index in zip(found, taken_for, strict=True)
    )
    counts = {
        "true positive": int(right),
        "wrong class": int((taken_for >= 0).sum() - right),
        "false negative": int(missed.sum()),
    }
    counts["false positive"] = int((taken_for == FALSE_ALARM).sum())
    said = [
        {
            "label": counted(count, word) if word != "wrong class" else f"{count} {word}",
            "score": None,
            "right": word == "true positive",
        }
        for word, count in counts.items()
        if count
    ]
    return [counted(int((~truth["ignored"]).sum()), "object")], said


def _judged(found, truth):
    """The object that each detection is taken for, int64 `[m]` (see `judge`), and which are missed, bool `[n]`."""
    boxes = np.array([entry["box"] for entry in found], np.float64).reshape(-1, 4)
    scores, labels = (np.array([entry[name] for entry in found]) for name in ("score", "label"))
    taken_for = judge(boxes, scores, labels, truth["boxes"], truth["labels"], truth["ignored"])
    missed = ~truth["ignored"]
    missed[taken_for[taken_for >= 0]] = False
    return taken_for, missed


def _named(entry):
    return f"{entry['label']} {entry['score']:.0%}"


class _Canvas:
    """A picture that boxes and their labels are drawn on; lines and letters follow its size.

    image: uint8 `[h, w, 3]`; count: boxes to come. A small picture is enlarged, more so for many boxes.
    """

    def __init__(self, image, count):
        enlarged = drawing.enlarge(image, NARROWEST if count <= CROWDED else NARROWEST_CROWDED)
        self._factor = enlarged.shape[0] // image.shape[0]
        self._image = Image.fromarray(np.ascontiguousarray(enlarged))
        self._draw = ImageDraw.Draw(self._image)
        side = max(enlarged.shape[:2])
        self._width = max(2, round(side / 400))
        self._size = max(12, round(side / 60))
        self._labels = []

    def pixels(self):
        """uint8 `[h, w, 3]` with the labels on top, the last box's first; one that finds no free place is left out."""
        taken = []
        for text, corners, color in reversed(self._labels):
            place = self._free_place(text, corners, taken)
            if place:
                taken.append(place)
                left, top, right, bottom = place
                self._draw.rectangle(place, fill=color)
                middle = (left + self._size // 6 + 1, (top + bottom) / 2)
                ink = INK if sum(color) > BRIGHT else PAPER
                self._draw.text(middle, text, ink, drawing.font_of(text, self._size), anchor="lm")
        return np.asarray(self._image)

    def box(self, box, color, text):
        """A box with a white line around it, so that it is seen on any ground."""
        x1, y1, x2, y2 = corners = self._corners(box)
        width = self._width
        self._draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=PAPER, width=width + 2)
        self._draw.rectangle(corners, outline=color, width=width)
        self._note(text, corners, color)

    def dashed(self, box, color, text):
        """The same with a broken line."""
        x1, y1, x2, y2 = corners = self._corners(box)
        dash = 4 * self._width
        for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
            start, end = np.array(start, float), np.array(end, float)
            length = max(np.abs(end - start).max(), 1.0)
            for at in np.arange(0, length, 2 * dash):
                line = [tuple(start + (end - start) * (stop / length)) for stop in (at, min(at + dash, length))]
                self._draw.line(line, fill=PAPER, width=self._width + 2)
                self._draw.line(line, fill=color, width=self._width)
        self._note(text, corners, color)

    def _corners(self, box):
        x1, y1, x2, y2 = (round(float(value) * self._factor) for value in box)
        return x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)

    def _note(self, text, corners, color):
        if text:
            self._labels.append((drawing.shorten(text, self._size, self._image.width // 2), corners, color))

    def _free_place(self, text, corners, taken):
        """Above the box, below it, or in its upper corner, within the picture and not on another label; or None."""
        x1, y1, x2, y2 = corners
        margin = self._size // 6 + 1
        width = round(drawing.font_of(text, self._size).getlength(text)) + 2 * margin
        height = self._size + 2 * margin
        left = max(min(x1, self._image.width - width), 0)
        for top in (y1 - height, y2, max(y1, 0)):
            place = (left, top, left + width, top + height)
            if 0 <= top <= self._image.height - height and not any(_meet(place, other) for other in taken):
                return place
        return None


def _meet(first, second):
    """Whether two (left, top, right, bottom) overlap."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
