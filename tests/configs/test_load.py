"""Merging recipe, file and --set, and what a mistake is told."""

import pytest

from retinue.configs.errors import UsageError
from retinue.configs.load import load_config, recipes, to_yaml
from retinue.configs.schema import Config


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults_need_nothing():
    assert load_config() == Config()


def test_every_recipe_loads_and_says_what_it_is_for():
    for name, line in recipes().items():
        assert line.endswith(".") and len(line) > 20, name
        load_config(name)


def test_set_wins_over_file_and_file_over_default(tmp_path):
    path = write(tmp_path, "train:\n  batch_size: 8\n  ema: 0.9\n")
    config = load_config(path, ["train.batch_size=4"], {"model.backbone": "keras/VGG16"})
    assert (config.train.batch_size, config.train.ema, config.model.backbone) == (4, 0.9, "keras/VGG16")
    assert config.train.momentum == Config().train.momentum


def test_stages_of_a_file_replace_the_default_ones(tmp_path):
    path = write(tmp_path, "train:\n  stages:\n    only: {epochs: 3, rate: 0.1}\n")
    assert list(load_config(path).train.stages) == ["only"]


def test_set_changes_one_stage_and_keeps_the_others():
    config = load_config(settings=["train.stages.all.epochs=7"])
    assert list(config.train.stages) == ["head", "all"]
    assert config.train.stages["all"].epochs == 7
    assert config.train.stages["all"].backbone_rate == Config().train.stages["all"].backbone_rate


def test_yaml_round_trip(tmp_path):
    config = load_config(settings=["augment.crop_scale=[0.5, 1]", "train.stages.all.frozen_below=8"])
    assert load_config(write(tmp_path, to_yaml(config))) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  batch_size: 8\n  epochz: 3\n", ["mine.yaml:3", "train.epochz"]),
        ("train:\n  batchsize: 8\n", ["mine.yaml:2", "did you mean train.batch_size?"]),
        ("batch_size: 8\n", ["mine.yaml:1", "did you mean train.batch_size?"]),
        (
            "train:\n  stages:\n    all: {epochs: 3, rate: 0.1, backbone_rat: 1}\n",
            ["mine.yaml:3", "stages.all.backbone_rate?"],
        ),
        ("train:\n  batch_size: many\n", ["mine.yaml:2", "train.batch_size", "'many'"]),
        ("train:\n  ema: 1.5\n", ["mine.yaml:2", "train.ema", "less than 1"]),
        ("augment:\n  crop_scale: [0.9, 0.2]\n", ["mine.yaml:1", "crop_scale", "rising"]),
        ("train:\n  optimizer: adam\n", ["mine.yaml:2", "train.optimizer", "'adamw'"]),
        ("a: [1\n", ["mine.yaml", "not valid YAML"]),
        ("- a\n", ["mine.yaml:1", "key: value"]),
        ("seed: 1\nseed: 2\n", ["mine.yaml:2", "seed is given twice"]),
        ("train: 3\n", ["mine.yaml:1", "train"]),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path, text, expected):
    with pytest.raises(UsageError) as error:
        load_config(write(tmp_path, text))
    for part in expected:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.batchsize=8", "did you mean train.batch_size?"),
        ("train.batch_size", "key=value"),
        ("train.batch_size=0", "greater than or equal to 1"),
        ("train.stages.all.rates=1", "did you mean train.stages.all.rate?"),
        ("seed.x=1", "seed"),
        ("nonsense=1", "nonsense"),
    ],
)
def test_a_mistake_in_set_is_told(setting, expected):
    with pytest.raises(UsageError, match="--set") as error:
        load_config(settings=[setting])
    assert expected in str(error.value)


def test_an_unknown_recipe_gets_the_nearest():
    with pytest.raises(UsageError, match="did you mean fine-tune"):
        load_config("finetune")
    with pytest.raises(UsageError, match="no such recipe file"):
        load_config("nowhere.yaml")
