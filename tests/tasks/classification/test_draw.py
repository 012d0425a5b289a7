import numpy as np
import pytest

from retinue.tasks import drawing
from retinue.tasks.classification.draw import draw

CLASSES = ("sound", "broken", "dirty")
GREY = 77


def picture(height, width):
    return np.full((height, width, 3), GREY, np.uint8)


def prediction(*pairs):
    return {"labels": [{"label": CLASSES[index], "score": score} for index, score in pairs]}


def colors(drawn):
    """Which of the panel's colours occur, as names."""
    found = {tuple(color) for color in np.unique(drawn.reshape(-1, 3), axis=0)}
    names = {"right": drawing.RIGHT, "wrong": drawing.WRONG, "neutral": drawing.NEUTRAL, "faint": drawing.FAINT}
    return {name for name, color in names.items() if color in found}


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (300, 300), (375, 500), (2000, 40), (40, 2000), (3000, 4000)])
def test_any_size_gives_the_picture_above_a_panel(size):
    image = picture(*size)
    drawn = draw(image, prediction((0, 0.9), (1, 0.1)), truth="sound")
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3 and drawn.shape[1] >= 256
    shown = (drawn == GREY).all(axis=2)
    factor = max(1, -(-256 // max(size)))
    assert shown.any(axis=1).sum() >= factor * size[0] and shown.any(axis=0).sum() == factor * size[1]
    assert (drawn.reshape(-1, 3).min(axis=1) < 60).any()  # there is ink
    assert (image == GREY).all()


def test_a_picture_of_usual_size_is_kept_pixel_for_pixel():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert np.array_equal(draw(image, prediction((0, 0.9)), CLASSES)[:300], image)


def test_text_grows_with_the_picture():
    panels = [draw(picture(s, s), prediction((0, 0.9)), CLASSES).shape[0] - s for s in (300, 3000)]
    assert panels[1] > 6 * panels[0]


def test_colors_say_right_wrong_or_unknown():
    answer = prediction((0, 0.9), (1, 0.1))
    assert colors(draw(picture(300, 300), answer, CLASSES)) == {"neutral", "faint"}
    assert colors(draw(picture(300, 300), answer, CLASSES, truth=0)) == {"right", "faint"}
    assert colors(draw(picture(300, 300), answer, CLASSES, truth=np.int64(1))) == {"wrong", "faint"}


def test_several_labels_are_judged_each_by_itself():
    answer = prediction((0, 0.9), (1, 0.6), (2, 0.2))
    assert colors(draw(picture(300, 300), answer, CLASSES, truth=[0, 1])) == {"right", "faint"}
    assert colors(draw(picture(300, 300), answer, CLASSES, truth=np.array([0]))) == {"right", "wrong", "faint"}
    assert colors(draw(picture(300, 300), answer, CLASSES, truth=[0, 1, 2])) == {"right", "wrong"}  # dirty was missed
    assert colors(draw(picture(300, 300), answer, CLASSES, truth=[])) == {"wrong", "faint"}


def test_the_truth_is_written_above_the_answers():
    answer = prediction((0, 0.9))
    without, with_truth = (draw(picture(300, 300), answer, CLASSES, truth) for truth in (None, 0))
    assert with_truth.shape[0] > without.shape[0]


def test_the_bar_is_as_long_as_the_score():
    def length(score):
        drawn = draw(picture(300, 300), prediction((0, score)), CLASSES, truth=0)
        fill = np.array([round(127.5 + channel / 2) for channel in drawing.RIGHT])
        return (np.abs(drawn.astype(int) - fill).max(axis=2) <= 1).any(axis=0).sum()

    assert length(0.8) == pytest.approx(2 * length(0.4), rel=0.1)


def test_long_names_are_cut_to_the_width():
    name = "a very long name " * 20
    short = drawing.shorten(name, 20, 300)
    assert short.endswith("…") and name.startswith(short[:-1].rstrip())
    assert drawing.font_of(short, 20).getlength(short) <= 300
    assert drawing.shorten("fits", 20, 300) == "fits"
    assert drawing.shorten("two\n lines", 20, 300) == "two lines"


@pytest.mark.parametrize("name", ["кошка", "Müller & Söhne", "ναός", "猫", "bad\udcff"])
def test_names_in_any_script_are_drawn(name):
    answer = {"labels": [{"label": name, "score": 0.9}]}
    blank = {"labels": [{"label": "", "score": 0.9}]}
    drawn, empty = (draw(picture(300, 300), each, (name,)) for each in (answer, blank))
    assert drawn.shape == empty.shape and not np.array_equal(drawn, empty)
