import numpy as np
import pytest

from retinue.tasks import drawing
from retinue.tasks.classification.draw import draw

CLASSES = ("sound", "broken", "dirty")
GRAY = 77


def gray_image(height, width):
    return np.full((height, width, 3), GRAY, np.uint8)


def prediction(*pairs):
    return {"labels": [{"label": CLASSES[index], "score": score} for index, score in pairs]}


def colors(drawn):
    """Return the names of the panel's colors that occur."""
    present = {tuple(color) for color in np.unique(drawn.reshape(-1, 3), axis=0)}
    names = {"right": drawing.RIGHT, "wrong": drawing.WRONG, "neutral": drawing.NEUTRAL, "faint": drawing.FAINT}
    return {name for name, color in names.items() if color in present}


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (300, 300), (375, 500), (2000, 40), (40, 2000), (3000, 4000)])
def test_an_image_of_any_size_is_drawn_above_a_panel(size):
    image = gray_image(*size)
    drawn = draw(image, prediction((0, 0.9), (1, 0.1)), truth="sound")
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3 and drawn.shape[1] >= 256
    is_image = (drawn == GRAY).all(axis=2)
    factor = max(1, -(-256 // max(size)))
    assert is_image.any(axis=1).sum() >= factor * size[0] and is_image.any(axis=0).sum() == factor * size[1]
    assert (drawn.reshape(-1, 3).min(axis=1) < 60).any()  # the panel has text
    assert (image == GRAY).all()


def test_an_image_of_usual_size_keeps_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert np.array_equal(draw(image, prediction((0, 0.9)))[:300], image)


def test_text_grows_with_the_image():
    panels = [draw(gray_image(s, s), prediction((0, 0.9))).shape[0] - s for s in (300, 3000)]
    assert panels[1] > 6 * panels[0]


def test_colors_show_correct_wrong_and_unknown_predictions():
    predicted = prediction((0, 0.9), (1, 0.1))
    assert colors(draw(gray_image(300, 300), predicted)) == {"neutral", "faint"}
    assert colors(draw(gray_image(300, 300), predicted, truth="sound")) == {"right", "faint"}
    assert colors(draw(gray_image(300, 300), predicted, truth="broken")) == {"wrong", "faint"}


def test_each_of_several_labels_has_its_own_color():
    predicted = prediction((0, 0.9), (1, 0.6), (2, 0.2))
    assert colors(draw(gray_image(300, 300), predicted, truth=["sound", "broken"])) == {"right", "faint"}
    assert colors(draw(gray_image(300, 300), predicted, truth=("sound",))) == {"right", "wrong", "faint"}
    assert colors(draw(gray_image(300, 300), predicted, truth=CLASSES)) == {
        "right",
        "wrong",
    }
    assert colors(draw(gray_image(300, 300), predicted, truth=[])) == {"wrong", "faint"}


def test_the_truth_is_written_above_the_predicted_labels():
    predicted = prediction((0, 0.9))
    without, with_truth = (draw(gray_image(300, 300), predicted, truth) for truth in (None, "sound"))
    assert with_truth.shape[0] > without.shape[0]


def test_the_length_of_the_bar_is_the_score():
    def length(score):
        drawn = draw(gray_image(300, 300), prediction((0, score)), truth="sound")
        fill = np.array([round(127.5 + channel / 2) for channel in drawing.RIGHT])
        return (np.abs(drawn.astype(int) - fill).max(axis=2) <= 1).any(axis=0).sum()

    assert length(0.8) == pytest.approx(2 * length(0.4), rel=0.1)


def test_long_names_are_shortened_to_the_width():
    name = "a very long name " * 20
    short = drawing.shorten(name, 20, 300)
    assert short.endswith("…") and name.startswith(short[:-1].rstrip())
    assert drawing.font_of(short, 20).getlength(short) <= 300
    assert drawing.shorten("fits", 20, 300) == "fits"
    assert drawing.shorten("two\n lines", 20, 300) == "two lines"


@pytest.mark.parametrize("name", ["кошка", "Müller & Söhne", "ναός", "猫", "bad\udcff"])
def test_names_in_any_script_are_drawn(name):
    predicted = {"labels": [{"label": name, "score": 0.9}]}
    blank = {"labels": [{"label": "", "score": 0.9}]}
    drawn, empty = (draw(gray_image(300, 300), each) for each in (predicted, blank))
    assert drawn.shape == empty.shape and not np.array_equal(drawn, empty)
