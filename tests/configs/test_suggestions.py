"""Suggestions for names that do not exist."""

from retinue.configs.suggestions import did_you_mean


def test_similar_names_are_suggested_most_similar_first():
    assert did_you_mean("conv3", ["conv1", "pool", "conv33"]) == "; did you mean conv33 or conv1?"


def test_the_number_of_suggestions_is_limited():
    assert did_you_mean("conv3", ["conv1", "conv2", "conv33"], limit=1) == "; did you mean conv33?"


def test_nothing_is_suggested_if_no_name_is_similar():
    assert did_you_mean("conv3", ["logits", "pool"]) == ""
    assert did_you_mean("conv3", ["conv1"], cutoff=0.9) == ""
