"""What the tests of readers share."""

import pytest

from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def data(tmp_path):
    """Return a function that saves images and text files, the text of each by its name, and returns the folder."""

    def save(images, texts):
        for name in images:
            save_image(tmp_path / "data" / name)
        for name, text in texts.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "data"

    return save
