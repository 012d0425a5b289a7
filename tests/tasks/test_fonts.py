from pathlib import Path

from retinue.tasks.fonts import font_families, font_file, printable

ONLY_STIX = "\u1d81"  # a letter that DejaVu Sans lacks and STIX has; both come with matplotlib


def test_common_scripts_need_one_font():
    for text in ("", "cat", "кошка", "ναός", "Ångström ✓"):
        assert font_families(text) == ["DejaVu Sans"]
        assert Path(font_file(text)).name == "DejaVuSans.ttf"


def test_a_letter_it_lacks_brings_a_font_that_has_it():
    from matplotlib.ft2font import FT2Font

    families = font_families("cat " + ONLY_STIX)
    assert families[0] == "DejaVu Sans" and len(families) == 2
    font = FT2Font(font_file("cat " + ONLY_STIX))
    assert all(font.get_char_index(ord(character)) for character in "cat" + ONLY_STIX)


def test_a_letter_that_no_font_has_is_no_error():
    assert font_families("\U0010fffd") == ["DejaVu Sans"]


def test_printable_is_one_line_of_valid_text():
    assert printable(" a\n b\t") == "a b"
    assert printable("caf\udce9") == "caf\\udce9"
    assert printable("猫") == "猫"
