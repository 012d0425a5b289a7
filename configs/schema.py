"""The typed configuration: every key with its type, range, default and description. Unknown keys are errors.

`configs/load.py` merges recipes, files and `--set` into one `Config`; a run folder stores it as `config.yaml`.
The sections of the tasks are in `configs/schema_tasks.py`.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from retinue.configs.schema_base import (
    LISTED,
    Fraction,
    FractionBelowOne,
    NonNegativeFloat,
    Number,
    PositiveFloat,
    PositiveFraction,
    Section,
)
from retinue.configs.schema_tasks import DetectionConfig, SegmentationConfig, VideoConfig


class DataConfig(Section):
    """How the data is read, split and resized, and what happens to invalid files."""

    on_invalid: Literal["stop", "skip"] = Field(
        "stop",
        description="Stop if the fraction of invalid files is above max_invalid_fraction (stop), or skip every invalid "
        "file, however many there are (skip).",
    )
    max_invalid_fraction: Fraction = Field(
        0.03, description="Fraction of invalid files above which training stops, unless on_invalid is skip."
    )
    max_pixels: int = Field(
        200_000_000, gt=0, description="Largest number of pixels of an image; a larger image is rejected undecoded."
    )
    val_fraction: Fraction = Field(
        0.2, description="Fraction of the training files used for validation if the data has no validation split."
    )
    test_fraction: Fraction = Field(
        0.0, description="Fraction of the files used as test set if the data has no test split."
    )
    resize_mode: Literal["stretch", "center_crop", "letterbox"] = Field(
        "stretch",
        description="An image is made square by ignoring its aspect ratio (stretch), by taking the largest centered "
        "square (center_crop), or by padding (letterbox).",
    )
    jpeg_dct_scaling: bool = Field(
        True,
        description="Decode a large JPEG at 1/2, 1/4 or 1/8 of its size if it is then downscaled further anyway.",
    )
    columns: str = Field(
        "",
        description="For tables whose header is not recognized: what it calls the columns that are needed, for example "
        "file=image,label=emotion.",
    )
    pixel_range: Annotated[tuple[Number, Number], LISTED] | None = Field(
        None,
        description="The values that become black and white in images of more than 8 bits, [low, high], the same for "
        "every image. With null, the check finds them, and a run keeps them; images of 8 bits are used as they are.",
    )
    fold: Literal[1, 2, 3] = Field(1, description="Which of the three official splits of UCF-101 or HMDB-51 is used.")

    @field_validator("pixel_range")
    @classmethod
    def _check_pixel_range(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and pair[0] >= pair[1]:
            raise ValueError("two increasing numbers")
        return pair


class AugmentConfig(Section):
    """Random augmentation of training images. The values 0, false and [1, 1] turn an augmentation off."""

    horizontal_flip: bool = Field(True, description="Flip images left to right with probability 0.5.")
    vertical_flip: bool = Field(False, description="Flip images top to bottom with probability 0.5.")
    random_rot90: bool = Field(False, description="Rotate images by 0, 90, 180 or 270 degrees at random.")
    crop_scale: Annotated[tuple[Fraction, Fraction], LISTED] = Field(
        (0.6, 1.0), description="Range of the area of a random crop, as a fraction of the image's area."
    )
    crop_aspect: Annotated[tuple[PositiveFloat, PositiveFloat], LISTED] = Field(
        (0.75, 1.333), description="Range of the aspect ratio of a random crop, width divided by height."
    )
    brightness: Fraction = Field(0.2, description="Largest relative change of the brightness.")
    contrast: Fraction = Field(0.2, description="Largest relative change of the contrast.")
    saturation: Fraction = Field(0.2, description="Largest relative change of the saturation.")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Largest change of the hue, as a fraction of the color circle."
    )
    randaugment_num_ops: int = Field(
        0, ge=0, le=8, description="Number of RandAugment operations applied to each image."
    )
    randaugment_magnitude: int = Field(9, ge=0, le=30, description="Magnitude of the RandAugment operations.")
    mixup: NonNegativeFloat = Field(0.0, description="Alpha of the Beta distribution of mixup; 0 turns it off.")
    cutmix: NonNegativeFloat = Field(0.0, description="Alpha of the Beta distribution of CutMix; 0 turns it off.")

    @field_validator("crop_scale", "crop_aspect")
    @classmethod
    def _check_range(cls, pair: tuple[float, float]) -> tuple[float, float]:
        if pair[0] > pair[1] or pair[0] == 0:
            raise ValueError("two increasing numbers above 0")
        return pair


class ModelConfig(Section):
    """The model: a backbone and its head."""

    backbone: str = Field("efficientnet_lite0", description="Name of a backbone; `retinue models` lists them.")
    weights: str = Field(
        "imagenet",
        description="Initial weights of the backbone: imagenet, none for random initialization, or the path of a "
        "weights file.",
    )
    input_size: int = Field(
        224,
        ge=8,
        le=4096,
        description="Height and width of the model's input in pixels; in detection, the length of the shorter side.",
    )
    dropout: FractionBelowOne = Field(0.2, description="Dropout rate before the last layer.")


class Stage(Section):
    """One stage of training. Usually the first stage trains only the head, and the second the whole model."""

    epochs: int = Field(ge=0, description="Number of epochs of the stage.")
    learning_rate: PositiveFloat = Field(description="Peak learning rate.")
    final_learning_rate: NonNegativeFloat = Field(
        0.0,
        description="Learning rate at the end of the cosine schedule, for example the one at which the next stage "
        "starts.",
    )
    backbone_lr_multiplier: Fraction = Field(
        0.1, description="Factor applied to the learning rate of the backbone; 0 freezes the backbone."
    )
    freeze_until_stride: Literal[0, 2, 4, 8, 16, 32] = Field(
        0, description="Layers before the one that reaches this stride are frozen; 0 freezes none."
    )
    freeze_layers: Annotated[tuple[str, ...], LISTED] = Field(
        (), description="Names of layers that are frozen in this stage."
    )
    input_size: int | None = Field(
        None, ge=8, le=4096, description="Input size of this stage in pixels, if it differs from model.input_size."
    )
    train_streams: Literal["all", "spatial", "temporal"] = Field(
        "all", description="Which streams of a two-stream video model this stage trains."
    )


class TrainConfig(Section):
    """How the model is trained."""

    stages: dict[str, Stage] = Field(
        {
            "head": Stage(epochs=2, learning_rate=1e-3, backbone_lr_multiplier=0.0),
            "all": Stage(epochs=10, learning_rate=1e-3, backbone_lr_multiplier=0.1),
        },
        description="The stages of training by name, in their order.",
    )
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        32,
        description="Number of images in a batch over all devices and machines; auto finds the largest that fits into "
        "memory.",
    )
    gradient_accumulation_steps: int = Field(
        1,
        ge=1,
        description="Number of micro-batches into which each batch (on each device, its per-replica batch) is split; "
        "their gradients are added, which is the same training step in less memory if batch normalization is frozen.",
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32",
        description="Precision of training steps: the mixed precisions keep weights, losses and batch normalization in "
        "float32, mixed_float16 adds loss scaling, and evaluation and prediction are always float32.",
    )
    reference_batch_size: int = Field(
        0,
        ge=0,
        description="Batch size for which the learning rates are meant: they are multiplied by batch_size divided by "
        "this (linear scaling, for large batches with warmup_epochs); 0 turns scaling off.",
    )
    strategy: Literal["auto", "single", "mirrored", "multi_worker"] = Field(
        "auto",
        description="Train on one device (single), on all GPUs of this machine (mirrored), on all processes named by "
        "TF_CONFIG or SLURM (multi_worker), or on what is available (auto).",
    )
    sync_batch_norm: bool = Field(
        False,
        description="Batch normalization uses the statistics of the full batch instead of each per-replica batch.",
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="Optimizer: AdamW, or SGD with momentum.")
    momentum: FractionBelowOne = Field(0.9, description="Momentum of SGD.")
    weight_decay: NonNegativeFloat = Field(
        1e-4, description="Weight decay of kernels; biases and normalization layers are never decayed."
    )
    schedule: Literal["cosine", "steps", "constant"] = Field(
        "cosine", description="Learning rate schedule of each stage."
    )
    warmup_epochs: NonNegativeFloat = Field(
        0.5, description="Number of epochs at the start of each stage in which the learning rate increases from 0."
    )
    lr_milestones: Annotated[tuple[Fraction, ...], LISTED] = Field(
        (0.6, 0.85), description="Fractions of a stage at which schedule=steps decreases the learning rate."
    )
    lr_gamma: PositiveFraction = Field(
        0.1, description="Factor by which schedule=steps decreases the learning rate at each milestone."
    )
    clip_norm: NonNegativeFloat = Field(
        1.0, description="Largest global norm of the gradient; 0 turns gradient clipping off."
    )
    label_smoothing: FractionBelowOne = Field(
        0.1, description="Fraction of the target probability that is spread evenly over all classes."
    )
    class_balance: Literal["none", "sqrt_weights", "weights", "sampler"] = Field(
        "none",
        description="Compensate for rare classes with loss weights (weights), with their square roots (sqrt_weights), "
        "or by sampling every class equally often (sampler).",
    )
    batch_norm: Literal["update", "frozen"] = Field(
        "update",
        description="Batch normalization in trained layers uses the batch's statistics and updates the moving ones "
        "(update), or uses the stored ones as in inference (frozen).",
    )
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="Momentum of the moving statistics of batch normalization; 0.99 needs thousands of steps."
    )
    ema_decay: FractionBelowOne = Field(
        0.0, description="Decay of the exponential moving average of the weights, for example 0.99; 0 turns it off."
    )
    cached_feature_views: int = Field(
        4,
        ge=0,
        le=1000,
        description="Number of augmented copies of each image whose backbone features are cached and used in turn by a "
        "stage that trains only the head; 1 caches the image without augmentation, 0 turns caching off.",
    )
    early_stopping_patience: int = Field(
        0,
        ge=0,
        description="Number of epochs without a better primary metric after which a stage ends; 0 turns it off.",
    )
    checkpoint_minutes: NonNegativeFloat = Field(
        5.0,
        description="Minutes between two checkpoints within an epoch, for --resume; 0 saves only at the end of epochs.",
    )
    max_checkpoints: int = Field(
        2,
        ge=1,
        le=100,
        description="Number of checkpoints that are kept; if the newest is damaged, the one before it is used.",
    )

    @field_validator("stages")
    @classmethod
    def _check_stages(cls, stages: dict[str, Stage]) -> dict[str, Stage]:
        if not sum(stage.epochs for stage in stages.values()):
            raise ValueError("one or more stages with at least one epoch")
        return stages


class EvaluateConfig(Section):
    """How a model is evaluated."""

    batch_size: int = Field(32, ge=1, description="Number of images in a batch in evaluation and prediction.")
    tta: Literal["none", "dihedral", "ten_crop"] = Field(
        "none",
        description="Test-time augmentation: average over the 8 flips and rotations by 90 degrees (dihedral), or over "
        "10 crops (ten_crop).",
    )
    bootstrap_samples: int = Field(
        2000, ge=0, description="Number of bootstrap samples for the 95% confidence interval of a score."
    )


class Config(Section):
    """The complete configuration of one job."""

    task: Literal["classification", "detection", "segmentation", "video"] = Field(
        "classification", description="The task that the model is trained for."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of everything random.")
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    detection: DetectionConfig = DetectionConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    video: VideoConfig = VideoConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
