"""Short causes from long error texts."""

from retinue.configs.errors import first_line, last_line


def test_the_first_line_of_an_error_skips_positions_in_openvino_sources():
    positions = "\nException from src/inference/src/cpp/core.cpp:126:\nCheck 'x' failed at a.cpp:1:\n"
    assert first_line(RuntimeError(positions + "  the file ends early\nmore")) == "the file ends early"
    assert first_line(ValueError("cause\ndetails")) == "cause"
    assert first_line(ValueError()) == "ValueError"


def test_the_last_line_of_a_traceback_is_its_cause():
    assert last_line("Traceback:\n  line 1\nValueError: cause\n\n") == "ValueError: cause"
    assert last_line(KeyError()) == "KeyError"
    assert last_line(" \n") == "no message"
