"""The typed configuration: every key, its type, its range and what it means. Unknown keys are refused.

Recipes, files and `--set` are merged into one `Config` by `configs/load.py`; a run keeps it as `config.yaml`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

LISTED = Field(strict=False)  # YAML has lists where we have tuples; what is in them stays strict
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Side = Annotated[int, Field(ge=16, le=4096)]


class Section(BaseModel):
    """What all sections share: frozen, no unknown keys, no true for 1 and no "1" for 1, nothing infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """What is read, and what happens to bad files."""

    on_invalid: Literal["stop", "skip"] = Field(
        "stop", description="stop when more than max_invalid_fraction is bad, or skip them all"
    )
    max_invalid_fraction: Share = Field(
        0.03, description="share of bad files above which training stops, unless on_invalid=skip"
    )
    max_pixels: int = Field(200_000_000, gt=0, description="a larger picture is refused before it is decoded")
    val_fraction: Share = Field(
        0.2, description="share of the training files held out, where the data has no val split"
    )
    test_fraction: Share = Field(0.0, description="share held out for a last test, where the data has no test split")
    resize_mode: Literal["stretch", "center_crop", "letterbox"] = Field(
        "stretch", description="how a picture is brought to a square"
    )
    jpeg_dct_scaling: bool = Field(
        True, description="decode a large JPEG at 1/2, 1/4 or 1/8 of its size where it is made smaller than that anyway"
    )
    fold: Literal[1, 2, 3] = Field(1, description="which of the three splits of UCF-101 or HMDB-51")


class AugmentConfig(Section):
    """Random changes to training pictures. 0, false or [1, 1] turns one off."""

    horizontal_flip: bool = Field(True, description="mirror left and right, half of the time")
    vertical_flip: bool = Field(False, description="mirror top and bottom, half of the time")
    random_rot90: bool = Field(False, description="turn by 0, 90, 180 or 270 degrees")
    crop_scale: Annotated[tuple[Share, Share], LISTED] = Field(
        (0.6, 1.0), description="share of the area that a random crop keeps"
    )
    crop_aspect: Annotated[tuple[Positive, Positive], LISTED] = Field(
        (0.75, 1.333), description="width to height of a random crop"
    )
    brightness: Share = Field(0.2, description="largest relative change")
    contrast: Share = Field(0.2, description="largest relative change")
    saturation: Share = Field(0.2, description="largest relative change")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(0.0, description="largest turn, in turns of the colour circle")
    randaugment_num_ops: int = Field(0, ge=0, le=8, description="operations of RandAugment a picture")
    randaugment_magnitude: int = Field(9, ge=0, le=30, description="their strength")
    mixup: NotNegative = Field(0.0, description="alpha of the Beta distribution; 0 is off")
    cutmix: NotNegative = Field(0.0, description="alpha of the Beta distribution; 0 is off")

    @field_validator("crop_scale", "crop_aspect")
    @classmethod
    def _rises(cls, pair):
        if pair[0] > pair[1] or pair[0] == 0:
            raise ValueError("two rising numbers above 0")
        return pair


class ModelConfig(Section):
    """The net: a backbone and its head."""

    backbone: str = Field("efficientnet_lite0", description="a name of `retinue models`")
    weights: str = Field("imagenet", description="imagenet, none, or a file of weights")
    input_size: int = Field(
        224,
        ge=8,
        le=4096,
        description="height and width of the model's input in pixels; in detection, its shorter side",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="before the last layer")


class Stage(Section):
    """One stage of training. The first usually trains the head alone, the second everything."""

    epochs: int = Field(ge=0, description="passes over the training files")
    learning_rate: Positive = Field(description="the learning rate's peak")
    final_learning_rate: NotNegative = Field(
        0.0, description="where the cosine ends, for instance where the next stage begins"
    )
    backbone_lr_multiplier: Share = Field(0.1, description="the backbone's updates are scaled by this; 0 freezes it")
    freeze_until_stride: Literal[0, 2, 4, 8, 16, 32] = Field(
        0, description="layers before this stride stay frozen; 0 is none"
    )
    freeze_layers: Annotated[tuple[str, ...], LISTED] = Field(
        (), description="names of layers that stay as they are in this stage"
    )
    input_size: int | None = Field(None, ge=8, le=4096, description="another input size during this stage")
    train_streams: Literal["all", "spatial", "temporal"] = Field(
        "all", description="of a net for video with two streams: the one that this stage trains, or both"
    )


class TrainConfig(Section):
    """How it learns."""

    stages: dict[str, Stage] = Field(
        {
            "head": Stage(epochs=2, learning_rate=1e-3, backbone_lr_multiplier=0.0),
            "all": Stage(epochs=10, learning_rate=1e-3, backbone_lr_multiplier=0.1),
        },
        description="the stages by name, in order",
    )
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        32, description="pictures a step, over all devices and machines; auto finds the most that there is memory for"
    )
    gradient_accumulation_steps: int = Field(
        1,
        ge=1,
        description="a batch (each device's share of it) goes through the net in so many parts, one after another, and "
        "their gradients are added: the same step, where batch norms are frozen, in less memory",
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32",
        description="what training steps compute in; with 16 bits, weights, losses and batch norms stay float32, and "
        "float16 scales the loss. Scores and answers are float32 always",
    )
    reference_batch_size: int = Field(
        0,
        ge=0,
        description="the batch size that the stages' rates are meant for: they are multiplied by batch_size over this "
        "(for large batches, with warmup_epochs); 0 leaves them as they are",
    )
    strategy: Literal["auto", "single", "mirrored", "multi_worker"] = Field(
        "auto",
        description="one device; mirrored over this machine's GPUs; multiworker over the processes that TF_CONFIG or "
        "SLURM name; auto takes what there is",
    )
    sync_batch_norm: bool = Field(
        False,
        description="several devices: batch norms use the statistics of the whole batch, not of each device's share",
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="adamw, or sgd with momentum")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of sgd")
    weight_decay: NotNegative = Field(1e-4, description="on kernels only; never on biases and normalisation")
    schedule: Literal["cosine", "steps", "constant"] = Field("cosine", description="the rate over each stage")
    warmup_epochs: NotNegative = Field(0.5, description="the rate rises from 0 over so many epochs of each stage")
    lr_milestones: Annotated[tuple[Share, ...], LISTED] = Field(
        (0.6, 0.85), description="schedule steps: shares of the stage where the rate falls"
    )
    lr_gamma: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="schedule steps: by this factor")
    clip_norm: NotNegative = Field(1.0, description="largest norm of the gradient of all weights; 0 is off")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="share given to all classes alike")
    class_balance: Literal["none", "sqrt_weights", "weights", "sampler"] = Field(
        "none",
        description="against rare classes: weights on the loss (mild takes their square roots), or a sampler that "
        "draws each class as often",
    )
    batch_norm: Literal["update", "frozen"] = Field(
        "update",
        description="in trained layers: update uses the batch's statistics, frozen the stored ones (inference)",
    )
    batch_norm_momentum: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="of the moving statistics; 0.99 would need thousands of steps"
    )
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="moving average of the weights, 0.99 say; 0 is off"
    )
    cached_feature_views: int = Field(
        4,
        ge=0,
        le=1000,
        description="a stage that trains the head alone computes the backbone once for so many changed copies of each "
        "photo, and goes through them in turn; 1 is the photo as it is, 0 computes anew in every epoch",
    )
    early_stopping_patience: int = Field(
        0, ge=0, description="end a stage after so many epochs without a better score; 0 is off"
    )
    checkpoint_minutes: NotNegative = Field(
        5.0, description="also save for resuming so often within an epoch; 0 is only at its end"
    )
    max_checkpoints: int = Field(
        2, ge=1, le=100, description="so many are kept; a damaged newest one falls back to the one before"
    )

    @field_validator("stages")
    @classmethod
    def _learns(cls, stages):
        if not sum(stage.epochs for stage in stages.values()):
            raise ValueError("one stage or more, and not all of 0 epochs")
        return stages


class EvaluateConfig(Section):
    """How a score is made."""

    batch_size: int = Field(32, ge=1, description="pictures a step in evaluation and prediction")
    tta: Literal["none", "dihedral", "ten_crop"] = Field(
        "none", description="mean over one view, over 8 flips and turns, or over 10 crops"
    )
    bootstrap_samples: int = Field(2000, ge=0, description="resamples for the 95% interval")


class DetectionConfig(Section):
    """Faster R-CNN: its proposals, its heads and its answers. Used where task is detection."""

    architecture: Literal["fpn", "c4"] = Field(
        "fpn", description="a feature pyramid, or one map of stride 16 as in the paper of 2015"
    )
    max_size: int = Field(
        1333, ge=8, le=8192, description="pixels that the longer side has at most; the shorter has model.input_size"
    )
    anchor_sizes: Annotated[tuple[Positive, ...], LISTED] = Field(
        (32.0, 64.0, 128.0, 256.0, 512.0),
        description="square roots of the anchors' areas in pixels: fpn has one a level, classic all on its map",
    )
    anchor_ratios: Annotated[tuple[Positive, ...], LISTED] = Field(
        (0.5, 1.0, 2.0), description="height to width of the anchors"
    )
    train_on_boundary_anchors: bool = Field(True, description="learn from anchors that cross the picture's edge, too")
    objectness: Literal["sigmoid", "softmax"] = Field(
        "sigmoid", description="one output an anchor, or the paper's two (background, object)"
    )
    rpn_batch_size_per_image: int = Field(256, ge=2, description="anchors of a picture that a step learns from")
    box_batch_size_per_image: int = Field(512, ge=4, description="proposals of a picture that a step learns from")
    box_bg_iou_low: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="overlap with an object that a background box must have; 0.1 in the paper on VOC"
    )
    rpn_pre_nms_top_n_train: int = Field(
        2000, ge=1, description="best anchors of a level before suppression, in training"
    )
    rpn_post_nms_top_n_train: int = Field(2000, ge=1, description="proposals of a picture, in training")
    rpn_pre_nms_top_n_test: int = Field(
        1000, ge=1, description="best anchors of a level before suppression, in prediction"
    )
    rpn_post_nms_top_n_test: int = Field(1000, ge=1, description="proposals of a picture, in prediction")
    rpn_min_size: Positive = Field(0.001, description="pixels that each side of a proposal has at least")
    fpn_channels: int = Field(256, ge=8, description="of the feature pyramid; few are fast")
    box_head_dim: int = Field(1024, ge=8, description="of the two linear layers that look at each proposal")
    box_smooth_l1_beta: Positive = Field(
        0.1111111111111111, description="where the head's box loss turns from square to linear; 1 in Fast R-CNN"
    )
    score_threshold: Share = Field(0.05, description="detections that score less are left out")
    nms_threshold: Share = Field(0.5, description="of two of one class that overlap more, the better one stays")
    max_detections: int = Field(100, ge=1, description="detections of a picture")


class SegmentationConfig(Section):
    """A class for every pixel. Used where task is segmentation; training cuts squares of model.input_size."""

    head: Literal["fcn32s", "fcn16s", "fcn8s", "front_end", "fcn", "deeplabv3"] = Field(
        "fcn8s",
        description="FCN with no, one or two skips; Yu and Koltun's dilated VGG; or a dilated net with torchvision's "
        "FCN head or DeepLabV3's ASPP",
    )
    at_once: bool = Field(False, description="fcn16s and fcn8s: scale the skips down, to learn all from the start")
    convert_fc_layers: bool = Field(True, description="VGG and AlexNet bring their fc6 and fc7 along, as convolutions")
    context: Literal["none", "basic", "large"] = Field("none", description="front_end: the context module behind it")
    output_stride: Literal[8, 16] = Field(8, description="fcn and aspp: of the dilated net; 16 is faster and coarser")
    focal_gamma: NotNegative = Field(0.0, description="gamma of the focal loss; 0 is plain cross-entropy")
    dice_weight: NotNegative = Field(0.0, description="weight of the Dice loss beside it; 0 is off")
    scale_range: Annotated[tuple[Positive, Positive], LISTED] = Field(
        (0.5, 2.0), description="random scale of training pictures before the square is cut"
    )
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="largest random turn, in degrees")
    max_size: int = Field(
        1024,
        ge=32,
        le=65536,
        description="a larger picture is made smaller for the net; answers keep its size",
    )
    tile_size: int = Field(
        0, ge=0, le=8192, description="look at pictures larger than this in overlapping windows, at full size; 0 is off"
    )
    tile_overlap: int = Field(128, ge=0, le=4096, description="pixels that neighbouring windows share")
    tta_flip: bool = Field(False, description="predict the mirrored picture too, and average")
    tta_scales: Annotated[tuple[Positive, ...], LISTED] = Field(
        (1.0,), description="predict at so many times the size, and average"
    )
    export_scores: bool = Field(False, description="exports also give every class's score a pixel")

    @field_validator("scale_range")
    @classmethod
    def _rises(cls, pair):
        if pair[0] > pair[1]:
            raise ValueError("two rising numbers above 0")
        return pair

    @field_validator("tta_scales")
    @classmethod
    def _is_some(cls, scales):
        if not scales:
            raise ValueError("one scale or more; [1.0] is the picture as it is")
        return scales


class VideoConfig(Section):
    """A class for every clip. Used where task is video."""

    architecture: Literal["two_stream", "spatial", "temporal", "early_fusion", "late_fusion", "slow_fusion"] = Field(
        "two_stream",
        description="frames and flow in two streams (Simonyan and Zisserman), one of them alone, or frames stacked "
        "(Karpathy et al.)",
    )
    frame_size: Annotated[tuple[Side, Side], LISTED] = Field(
        (256, 340), description="height and width that frames and flow have before model.input_size is cut from them"
    )
    train_segments: int = Field(
        1, ge=1, le=32, description="parts of a clip that a training step looks into, at random"
    )
    test_segments: int = Field(
        3, ge=1, le=250, description="equally spaced places that a score looks at; 25 in the paper"
    )
    flow_length: int = Field(10, ge=1, le=64, description="flow fields in a row that the temporal stream sees")
    flow_method: Literal["dis", "farneback", "tvl1"] = Field(
        "dis", description="how flow is computed; tvl1 needs opencv-contrib"
    )
    flow_bound: Positive = Field(20.0, description="pixels of motion that 8 bits reach to")
    flow_folder: str = Field("", description="folder that `retinue flow` wrote; flow that is not there is computed")
    flow_subtract_mean: bool = Field(
        True, description="take the mean out of each flow field, against the camera's motion; false where that is meant"
    )
    crop_scales: Annotated[tuple[Share, ...], LISTED] = Field(
        (1.0, 0.875, 0.75, 0.66), description="sides of training crops, as shares of the frame's shorter side"
    )
    corner_crops: bool = Field(True, description="crop training clips at corners and centre, else anywhere")
    temporal_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="before the last layer of the temporal stream; 0.9 in the paper"
    )
    fusion: Literal["average", "weighted", "svm"] = Field("average", description="how the streams' scores become one")
    fusion_weights: Annotated[tuple[Positive, Positive], LISTED] = Field(
        (1.0, 1.5), description="fusion weighted: of the spatial and the temporal stream"
    )
    svm_holdout_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="fusion svm: share of the training clips that the streams never see, to fit it on"
    )

    @field_validator("crop_scales")
    @classmethod
    def _is_some(cls, scales):
        if not scales or min(scales) <= 0:
            raise ValueError("one number or more, above 0 and at most 1")
        return scales


class Config(Section):
    """One job, whole."""

    task: Literal["classification", "detection", "segmentation", "video"] = Field(
        "classification", description="what is learnt"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of everything random")
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    detection: DetectionConfig = DetectionConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    video: VideoConfig = VideoConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
