"""Fonts for class names in all scripts, and names of symbols that no font has."""

from pathlib import Path

from retinue.tasks.fonts import drawable, font_families, font_file, printable

ONLY_STIX = "\u1d81"  # a letter that DejaVu Sans lacks and STIX has; both come with matplotlib


def test_common_scripts_need_one_font():
    for text in ("", "cat", "кошка", "ναός", "Ångström ✓"):
        assert font_families(text) == ["DejaVu Sans"]
        assert Path(font_file(text)).name == "DejaVuSans.ttf"


def test_a_letter_that_dejavu_lacks_needs_a_second_font():
    from matplotlib.ft2font import FT2Font

    families = font_families("cat " + ONLY_STIX)
    assert families[0] == "DejaVu Sans" and len(families) == 2
    font = FT2Font(font_file("cat " + ONLY_STIX))
    assert all(font.get_char_index(ord(character)) for character in "cat" + ONLY_STIX)


def test_a_letter_that_no_font_has_is_not_an_error():
    assert font_families("\U0010fffd") == ["DejaVu Sans"]


def test_symbols_that_no_font_has_become_their_names():
    no_font_has = "\U0010fffd"  # a character for private use
    assert drawable(f"cat {no_font_has}") == "cat [U+10FFFD]"
    assert drawable("\U0001f9ff") in ("[nazar amulet]", "\U0001f9ff")  # where a font for emoji is installed
    assert drawable("a\n cat ✓ $5 猫 " + ONLY_STIX) == "a cat ✓ $5 猫 " + ONLY_STIX


def test_a_symbol_that_only_another_font_has_becomes_its_name_if_one_font_must_suffice():
    text = "😀 😀 Ⓐ"  # DejaVu Sans has the faces, STIX the circled letter
    assert drawable(text) == text
    assert drawable(text, one_font=True) in ("😀 😀 [circled latin capital letter a]", text)  # or a font with all


def test_printable_is_one_line_of_valid_text():
    assert printable(" a\n b\t") == "a b"
    assert printable("caf\udce9") == "caf\\udce9"
    assert printable("猫") == "猫"
