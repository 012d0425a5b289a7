"""Merging a recipe, a file and --set, and the messages for mistakes."""

import pytest

from retinue.configs.errors import UsageError
from retinue.configs.load import describe_keys, load_config, load_saved_config, recipes, to_yaml
from retinue.configs.renamed_keys import RENAMED_KEYS, RENAMED_VALUES
from retinue.configs.schema import Config


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults_need_no_recipe():
    assert load_config() == Config()


def test_every_recipe_loads_and_begins_with_its_purpose():
    for name, line in recipes().items():
        assert line.endswith(".") and len(line) > 20, name
        load_config(name)


def test_set_overrides_the_file_and_the_file_overrides_defaults(tmp_path):
    path = write(tmp_path, "train:\n  batch_size: 8\n  ema_decay: 0.9\n")
    config = load_config(path, ["train.batch_size=4"], {"model.backbone": "keras/VGG16"})
    assert (config.train.batch_size, config.train.ema_decay, config.model.backbone) == (4, 0.9, "keras/VGG16")
    assert config.train.momentum == Config().train.momentum


def test_stages_of_a_file_replace_the_default_stages(tmp_path):
    path = write(tmp_path, "train:\n  stages:\n    only: {epochs: 3, learning_rate: 0.1}\n")
    assert list(load_config(path).train.stages) == ["only"]


def test_set_changes_one_stage_and_keeps_the_others():
    config = load_config(settings=["train.stages.all.epochs=7"])
    assert list(config.train.stages) == ["head", "all"]
    assert config.train.stages["all"].epochs == 7
    assert config.train.stages["all"].backbone_lr_multiplier == Config().train.stages["all"].backbone_lr_multiplier


def test_yaml_round_trip(tmp_path):
    config = load_config(settings=["augment.crop_scale=[0.5, 1]", "train.stages.all.freeze_until_stride=8"])
    assert load_config(write(tmp_path, to_yaml(config))) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  batch_size: 8\n  epochz: 3\n", ["mine.yaml:3", "train.epochz"]),
        ("train:\n  batchsize: 8\n", ["mine.yaml:2", "did you mean train.batch_size?"]),
        ("batch_size: 8\n", ["mine.yaml:1", "did you mean train.batch_size?"]),
        (
            "train:\n  stages:\n    all: {epochs: 3, learning_rate: 0.1, backbone_rat: 1}\n",
            ["mine.yaml:3", "stages.all.backbone_lr_multiplier?"],
        ),
        (
            "train:\n  batch_size: many\n",
            ["mine.yaml:2", "train.batch_size must be a whole number of at least 1, or auto, not many"],
        ),
        (
            "train:\n  ema_decay: 1.5\n",
            ["mine.yaml:2", "train.ema_decay", "a number of at least 0 and below 1, not 1.5"],
        ),
        (
            "augment:\n  crop_scale: [0.9, 0.2]\n",
            ["mine.yaml:2: augment.crop_scale must be two increasing numbers above 0, not [0.9, 0.2]"],
        ),
        ("train:\n  optimizer: adam\n", ["mine.yaml:2", "train.optimizer must be one of adamw, sgd, not adam"]),
        ("a: [1\n", ["mine.yaml", "the file is not valid YAML"]),
        ("- a\n", ["mine.yaml:1: a recipe consists of lines `key: value`"]),
        ("seed: 1\nseed: 2\n", ["mine.yaml:2", "the key seed occurs twice"]),
        ("train: 3\n", ["mine.yaml:1: train must be a section with keys of its own, not 3"]),
        ("train:\nseed: 1\n", ["mine.yaml:1: train must be a section with keys of its own, not empty"]),
        (
            "train:\n  stages:\n    all: 3\n",
            ["mine.yaml:3: train.stages.all must be a section with keys of its own, not 3"],
        ),
        (
            "train:\n  stages:\n    all: {epochs: 3}\n",
            ["mine.yaml:3: train.stages.all.learning_rate is missing. It must be a number above 0. "],
        ),
        (
            "train:\n  stages:\n    1: {epochs: 3, learning_rate: 1}\n",
            ["mine.yaml:3: the name of a stage must be text"],
        ),
        ("1: 2\n", ["mine.yaml:1: unknown key 1; the top level has: task, seed,"]),
        ("a: " + "[" * 3000 + "\n", ["mine.yaml: the file is not valid YAML: it is nested too deeply"]),
        ("seed: 0x_\n", ["mine.yaml: the file is not valid YAML: invalid literal"]),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_line(tmp_path, text, expected):
    with pytest.raises(UsageError) as error:
        load_config(write(tmp_path, text))
    for part in expected:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.batchsize=8", "did you mean train.batch_size?"),
        ("train.batch_size", "key=value"),
        ("train.batch_size=0", "train.batch_size must be a whole number of at least 1, or auto, not 0"),
        ("train.stages.all.learning_rat=1", "did you mean train.stages.all.learning_rate?"),
        ("seed.x=1", "seed"),
        ("nonsense=1", "nonsense"),
        ("train.epochs=3", "unknown key train.epochs; did you mean train.stages.all.epochs?"),
        ("epochs=3", "did you mean train.stages.all.epochs?"),
        ("train.lr=3", "did you mean train.stages.all.learning_rate?"),
        ("train.input_size=3", "did you mean train.stages.all.input_size?"),
        ("input_size=3", "did you mean model.input_size?"),
        ("train.batch_size=true", "must be a whole number of at least 1, or auto, not true"),
        ("train.batch_size=1.0", "must be a whole number of at least 1, or auto, not 1.0"),
        ("train.batch_size='8'", "must be a whole number of at least 1, or auto, not '8'"),
        ("augment.mixup=true", "must be a number of at least 0, not true"),
        ("augment.horizontal_flip=1", "must be true or false, not 1"),
        ("train.clip_norm=.inf", "must be a number of at least 0, not .inf"),
        ("train.stages.all.learning_rate=.nan", "must be a number above 0, not .nan"),
        ("train.stages.all.input_size=x", "must be a whole number from 8 to 4096, or null, not x"),
        ("augment.crop_scale=0.5", "must be two numbers from 0 to 1 in brackets, for example [0.6, 1.0], not 0.5"),
        ("augment.crop_scale=[1]", "must be two numbers from 0 to 1 in brackets, for example [0.6, 1.0], not [1]"),
        ("augment.crop_scale=[true, x]", "for example [0.6, 1.0], not [true, x]"),
        ("model.backbone=3", "model.backbone must be text, not 3"),
        ("train.stages={}", "train.stages must be one or more stages with at least one epoch, not {}"),
        (
            "train.stages={a: {epochs: 0, learning_rate: 1}}",
            "one or more stages with at least one epoch, not {a: {epochs: 0, learning_rate",
        ),
        ("detection.rpn_bg_iou=0.8", "detection.rpn_bg_iou must be at most rpn_fg_iou, which is 0.7, not 0.8"),
        ("detection.box_bg_iou_low=0.5", "detection.box_bg_iou_low must be below box_fg_iou, which is 0.5, not 0.5"),
        ("seed=[1", "the value is not valid YAML: expected ',' or ']'"),
        ("seed=0x_", "the value is not valid YAML: invalid literal"),
    ],
)
def test_a_mistake_in_set_is_reported(setting, expected):
    with pytest.raises(UsageError, match="--set") as error:
        load_config(settings=[setting])
    assert expected in str(error.value)


def test_an_unknown_recipe_is_answered_with_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean fine-tune"):
        load_config("finetune")
    with pytest.raises(UsageError, match="no such recipe file"):
        load_config("nowhere.yaml")


def test_numbers_in_scientific_notation_are_read():
    config = load_config(
        settings=["train.stages.all.learning_rate=1e-3", "train.weight_decay=5E-2", "train.ema_decay=0"]
    )
    assert (config.train.stages["all"].learning_rate, config.train.weight_decay, config.train.ema_decay) == (
        0.001,
        0.05,
        0.0,
    )


def test_text_that_looks_like_a_date_stays_text():
    for name in ("2020-12-31", "2020-13-45"):
        assert load_config(settings=[f"model.weights={name}"]).model.weights == name


def test_several_mistakes_are_reported_in_the_order_of_their_lines(tmp_path):
    path = write(tmp_path, "train:\n  momentum: 7\n  batch_size: x\nseed: -1\naugment: {hue: 3, crop_scale: [x, 7]}\n")
    with pytest.raises(UsageError) as error:
        load_config(path, ["model.dropout=2", "data.max_invalid_fraction=2"])
    keys = [line.split(": ", 1)[1].split(" must")[0] for line in str(error.value).split("\n")]
    assert keys[:5] == ["train.momentum", "train.batch_size", "seed", "augment.crop_scale", "augment.hue"]
    assert keys[5:] == ["model.dropout", "data.max_invalid_fraction"]


def test_a_suggested_key_names_a_stage_of_the_file(tmp_path):
    path = write(tmp_path, "train:\n  stages:\n    slow: {epochs: 3, learning_rate: 0.1}\n  epochs: 3\n")
    with pytest.raises(
        UsageError, match=r"mine.yaml:4: unknown key train.epochs; did you mean train.stages.slow.epochs"
    ):
        load_config(path)


def test_a_file_that_is_not_utf_8_is_reported_with_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("# one\n# Gr\u00fcn\nseed: 1\n".encode("latin-1"))
    with pytest.raises(
        UsageError, match=r"mine.yaml:2: the line contains bytes that are not UTF-8; save the file as UTF-8"
    ):
        load_config(str(path))
    path.write_bytes("\ufeffseed: 1\n".encode())
    assert load_config(str(path)).seed == 1


def test_every_key_has_a_description_and_can_be_set_to_its_default():
    rows = {row["key"]: row for row in describe_keys()}
    for key, row in rows.items():
        assert row["type"], key
        assert row["description"].endswith(".") and row["description"][0].isupper(), key
    assert rows["augment.hue"]["type"] == "a number from 0 to 0.5"
    assert rows["train.optimizer"]["type"] == "one of adamw, sgd"
    assert rows["train.stages.<stage>.epochs"]["default"] == "head 2, all 10"
    plain = [f"{key}={row['default']}" for key, row in rows.items() if "<stage>" not in key]
    assert load_config(settings=plain) == Config()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.stages.all.rate=0.1", "train.stages.all.rate was renamed to learning_rate"),
        ("data.on_bad=skip", "data.on_bad was renamed to on_invalid"),
        ("segmentation.scores=true", "segmentation.scores was renamed to export_scores"),
        ("data.resize_mode=squash", "data.resize_mode=squash was renamed to data.resize_mode=stretch"),
        ("train.precision=bfloat16", "train.precision=bfloat16 was renamed to train.precision=mixed_bfloat16"),
    ],
)
def test_a_name_of_version_0_1_is_answered_with_its_new_name(setting, expected):
    with pytest.raises(UsageError) as error:
        load_config(settings=[setting])
    assert expected in str(error.value)


def test_every_renamed_key_leads_to_an_existing_key():
    known = {row["key"] for row in describe_keys()}
    assert set(RENAMED_KEYS.values()) <= known
    assert not set(RENAMED_KEYS) & known
    for key, values in RENAMED_VALUES.items():
        for value in values.values():
            load_config(settings=[f"{key}={value}"])


def test_a_run_of_version_0_1_is_rejected_in_one_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(load_config()))
    assert load_saved_config(path) == load_config()
    path.write_text("data:\n  on_bad: stop\n  fit: squash\nmodel:\n  backbone: resnet18\n")
    with pytest.raises(UsageError, match="was made by retinue 0.1") as error:
        load_saved_config(path)
    assert "\n" not in str(error.value)
