"""Pictures larger than memory allows: the net looks at overlapping windows, at full size."""

import itertools

import numpy as np

GRID = 32  # windows begin at multiples of it, so that the net's maps lie on the same grid as in the whole picture
AT_ONCE = 4  # windows of one call


def in_windows(run, window, overlap):
    """`run`, a function from a batch of inputs to outputs, made to look at large pictures in windows.

    The inputs are image uint8 `[n, h, w, 3]` and original_size `[n, 2]`; pictures with no side above `window` go to
    `run` as they are. A larger one is cut into windows that share `overlap` pixels, and each pixel of the mask comes
    from the window in whose middle it lies most. Where half of the overlap is more than what the net sees around a
    pixel (half of its receptive field), the mask is the one of the whole picture. Memory is bounded by a few windows,
    besides the picture and its mask. Confidence is then a value a window: float32 `[n, rows, columns]`.
    """
    window = max(window // GRID * GRID, GRID)
    step = max((window - min(overlap, window // 2)) // GRID * GRID, GRID)

    def answer(inputs):
        image = np.asarray(inputs["image"])
        if max(image.shape[1:3]) <= window:
            return run(inputs)
        parts = [_answer_one(run, one, window, step) for one in image]
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    return answer


def spans(length, window, step):
    """[(first, last, kept first, kept last)] of the windows along one side: what each sees, and what it answers for."""
    starts = list(range(0, max(length - window, 0) + step, step)) if length > window else [0]
    starts = [start for place, start in enumerate(starts) if not place or starts[place - 1] + window < length]
    ends = [min(start + window, length) for start in starts]
    cuts = [(end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)]
    return list(zip(starts, ends, [0, *cuts], [*cuts, length], strict=True))


def _answer_one(run, image, window, step):
    rows, columns = (spans(length, window, step) for length in image.shape[:2])
    mask = np.zeros(image.shape[:2], np.uint8)
    confidence = np.zeros((len(rows), len(columns)), np.float32)
    alike = {}
    for place in itertools.product(range(len(rows)), range(len(columns))):
        seen = tuple(slice(*spans[at][:2]) for spans, at in zip((rows, columns), place, strict=True))
        alike.setdefault(tuple(part.stop - part.start for part in seen), []).append((place, seen))
    for size, windows in alike.items():
        for first in range(0, len(windows), AT_ONCE):
            some = windows[first : first + AT_ONCE]
            tiles = np.stack([image[seen] for _, seen in some])
            outputs = run({"image": tiles, "original_size": np.tile(np.array(size, np.int32), (len(some), 1))})
            for (place, seen), ids, sure in zip(some, outputs["mask"], outputs["confidence"], strict=True):
                kept = tuple(slice(*spans[at][2:]) for spans, at in zip((rows, columns), place, strict=True))
                inside = (slice(k.start - s.start, k.stop - s.start) for k, s in zip(kept, seen, strict=True))
                mask[kept] = np.asarray(ids)[tuple(inside)]
                confidence[place] = np.mean(sure)
    return {"mask": mask, "confidence": confidence}
