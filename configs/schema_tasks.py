"""The configuration sections that belong to one task each: detection, segmentation and video."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from retinue.configs.schema_base import (
    LISTED,
    Fraction,
    FractionBelowOne,
    NonNegativeFloat,
    PositiveFloat,
    PositiveFraction,
    Section,
)

FrameSide = Annotated[int, Field(ge=16, le=4096)]


class DetectionConfig(Section):
    """Faster R-CNN: region proposal network (RPN), box head and post-processing. Used by the task detection."""

    architecture: Literal["fpn", "c4"] = Field(
        "fpn",
        description="The detector uses a feature pyramid network (fpn), or one feature map of stride 16 as in the "
        "paper of 2015 (c4).",
    )
    max_size: int = Field(
        1333,
        ge=8,
        le=8192,
        description="Largest length of an image's longer side in pixels; the shorter side is resized to "
        "model.input_size where this limit allows it.",
    )
    anchor_sizes: Annotated[tuple[PositiveFloat, ...], LISTED] = Field(
        (32.0, 64.0, 128.0, 256.0, 512.0),
        description="Square roots of the anchors' areas in pixels: fpn assigns one size to each pyramid level, c4 "
        "uses all of them on its single feature map.",
    )
    anchor_ratios: Annotated[tuple[PositiveFloat, ...], LISTED] = Field(
        (0.5, 1.0, 2.0), description="Aspect ratios of the anchors, height divided by width."
    )
    train_on_boundary_anchors: bool = Field(
        True, description="Also train on anchors that cross the boundary of the image."
    )
    objectness: Literal["sigmoid", "softmax"] = Field(
        "sigmoid",
        description="The RPN has one objectness output for each anchor (sigmoid), or two outputs, background and "
        "object, as in the paper (softmax).",
    )
    rpn_fg_iou: PositiveFraction = Field(
        0.7, description="An anchor is positive if its IoU with an annotated box is at least this."
    )
    rpn_bg_iou: Fraction = Field(
        0.3, description="An anchor is negative if its IoU with every annotated box is below this."
    )
    rpn_batch_size_per_image: int = Field(
        256, ge=2, description="Number of anchors of each image that are sampled for the RPN's loss."
    )
    rpn_positive_fraction: PositiveFraction = Field(
        0.5, description="Largest fraction of positive anchors among the sampled anchors."
    )
    box_fg_iou: PositiveFraction = Field(
        0.5,
        description="A proposal is positive if its IoU with an annotated box is at least this; below it, the proposal "
        "is background.",
    )
    box_bg_iou_low: Fraction = Field(
        0.0,
        description="A proposal is background only if its IoU with an annotated box is at least this (0.1 in the paper "
        "on VOC).",
    )
    box_batch_size_per_image: int = Field(
        512, ge=4, description="Number of proposals of each image that are sampled for the box head's loss."
    )
    box_positive_fraction: PositiveFraction = Field(
        0.25, description="Largest fraction of positive proposals among the sampled proposals."
    )
    rpn_pre_nms_top_n_train: int = Field(
        2000,
        ge=1,
        description="Number of anchors with the best scores on each level that enter non-maximum suppression (NMS) in "
        "training.",
    )
    rpn_post_nms_top_n_train: int = Field(
        2000, ge=1, description="Number of proposals of each image that are kept after NMS in training."
    )
    rpn_pre_nms_top_n_test: int = Field(
        1000,
        ge=1,
        description="Number of anchors with the best scores on each level that enter NMS in evaluation and prediction.",
    )
    rpn_post_nms_top_n_test: int = Field(
        1000,
        ge=1,
        description="Number of proposals of each image that are kept after NMS in evaluation and prediction.",
    )
    rpn_nms_threshold: Fraction = Field(
        0.7, description="NMS removes a proposal whose IoU with a better proposal is above this."
    )
    rpn_min_size: PositiveFloat = Field(
        0.001, description="Smallest side of a proposal in pixels; smaller proposals are removed."
    )
    fpn_channels: int = Field(
        256, ge=8, description="Number of channels of the feature pyramid; fewer channels are faster."
    )
    box_head_dim: int = Field(
        1024, ge=8, description="Number of units in each of the two fully connected layers of the box head."
    )
    box_smooth_l1_beta: PositiveFloat = Field(
        0.1111111111111111,
        description="Error at which the smooth L1 loss of the box head changes from quadratic to linear (1 in Fast "
        "R-CNN).",
    )
    score_threshold: Fraction = Field(0.05, description="Detections with a lower score are removed.")
    nms_threshold: Fraction = Field(
        0.5,
        description="NMS removes a detection whose IoU with a better detection of the same class is above this.",
    )
    max_detections: int = Field(100, ge=1, description="Largest number of detections of each image.")

    @field_validator("rpn_bg_iou")
    @classmethod
    def _check_rpn_bg_iou(cls, iou: float, info: ValidationInfo) -> float:
        return _at_most(iou, "rpn_fg_iou", info)

    @field_validator("box_bg_iou_low")
    @classmethod
    def _check_box_bg_iou_low(cls, iou: float, info: ValidationInfo) -> float:
        if iou == info.data.get("box_fg_iou"):
            raise ValueError(f"below box_fg_iou, which is {iou:g}")
        return _at_most(iou, "box_fg_iou", info)


class SegmentationConfig(Section):
    """Semantic segmentation. Used by the task segmentation, which trains on square crops of model.input_size."""

    head: Literal["fcn32s", "fcn16s", "fcn8s", "front_end", "fcn", "deeplabv3"] = Field(
        "fcn8s",
        description="The head is an FCN without skip connections (fcn32s), with one (fcn16s) or two (fcn8s), Yu and "
        "Koltun's dilated VGG (front_end), or torchvision's FCN head (fcn) or DeepLabV3's ASPP (deeplabv3) on a "
        "dilated backbone.",
    )
    at_once: bool = Field(
        False,
        description="The heads fcn16s and fcn8s scale their skip connections down, so that all of them are trained at "
        "once from the start.",
    )
    convert_fc_layers: bool = Field(
        True, description="VGG and AlexNet keep their pretrained layers fc6 and fc7, converted to convolutions."
    )
    context: Literal["none", "basic", "large"] = Field(
        "none", description="Context module that follows the head front_end."
    )
    output_stride: Literal[8, 16] = Field(
        8,
        description="Output stride of the dilated backbone of the heads fcn and deeplabv3; 16 is faster and coarser.",
    )
    focal_gamma: NonNegativeFloat = Field(0.0, description="Gamma of the focal loss; 0 is plain cross-entropy.")
    dice_weight: NonNegativeFloat = Field(
        0.0, description="Weight of the Dice loss, which is added to the cross-entropy; 0 turns it off."
    )
    resize_masks: bool = Field(
        False,
        description="Resize a mask of another size than its image to the image's size (nearest neighbor) if both have "
        "the same aspect ratio; otherwise such a mask is invalid.",
    )
    scale_range: Annotated[tuple[PositiveFloat, PositiveFloat], LISTED] = Field(
        (0.5, 2.0), description="Range of the random scale of a training image before the square crop is taken."
    )
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="Largest random rotation of a training image in degrees, in both directions."
    )
    max_size: int = Field(
        1024,
        ge=32,
        le=65536,
        description="Largest length of an image's longer side in pixels; a larger image is downscaled for the model, "
        "and its output mask is scaled back to the image's size.",
    )
    tile_size: int = Field(
        0,
        ge=0,
        le=8192,
        description="Side of the overlapping square tiles in pixels in which larger images are predicted at full "
        "resolution; 0 turns tiling off.",
    )
    tile_overlap: int = Field(128, ge=0, le=4096, description="Overlap of neighboring tiles in pixels.")
    tta_flip: bool = Field(
        False, description="Test-time augmentation also predicts the mirrored image and averages the scores."
    )
    tta_scales: Annotated[tuple[PositiveFloat, ...], LISTED] = Field(
        (1.0,), description="Test-time augmentation predicts the image at each of these scales and averages the scores."
    )
    export_scores: bool = Field(
        False, description="Exported models also return the score of every class for every pixel."
    )

    @field_validator("scale_range")
    @classmethod
    def _check_scale_range(cls, pair: tuple[float, float]) -> tuple[float, float]:
        if pair[0] > pair[1]:
            raise ValueError("two increasing numbers above 0")
        return pair

    @field_validator("tta_scales")
    @classmethod
    def _check_tta_scales(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not scales:
            raise ValueError("one or more scales; [1.0] is the image at its own size")
        return scales


class VideoConfig(Section):
    """Video classification, which gives a class to every clip. Used by the task video."""

    architecture: Literal["two_stream", "spatial", "temporal", "early_fusion", "late_fusion", "slow_fusion"] = Field(
        "two_stream",
        description="The model has a spatial stream (frames) and a temporal stream (optical flow) as in Simonyan and "
        "Zisserman (two_stream), only one of them, or one network for stacked frames as in Karpathy et al.",
    )
    frame_size: Annotated[tuple[FrameSide, FrameSide], LISTED] = Field(
        (256, 340),
        description="Height and width in pixels to which frames and flow are resized before model.input_size is "
        "cropped from them.",
    )
    train_segments: int = Field(
        1,
        ge=1,
        le=32,
        description="Number of equal segments of a clip in training; one random snippet is taken from each.",
    )
    test_segments: int = Field(
        3,
        ge=1,
        le=250,
        description="Number of equally spaced snippets of a clip that evaluation and prediction average (25 in the "
        "paper).",
    )
    flow_length: int = Field(
        10, ge=1, le=64, description="Number of consecutive flow fields that the temporal stream takes as its input."
    )
    flow_method: Literal["dis", "farneback", "tvl1"] = Field(
        "dis", description="Optical flow algorithm; tvl1 needs opencv-contrib."
    )
    flow_bound: PositiveFloat = Field(
        20.0, description="Largest motion in pixels that the 8-bit flow images represent; larger motion is clipped."
    )
    flow_folder: str = Field(
        "", description="Folder written by `retinue flow`; flow that is not stored there is computed when it is needed."
    )
    flow_subtract_mean: bool = Field(
        True,
        description="Subtract the mean of each flow field to compensate for camera motion; set it to false if camera "
        "motion defines the classes.",
    )
    crop_scales: Annotated[tuple[Fraction, ...], LISTED] = Field(
        (1.0, 0.875, 0.75, 0.66),
        description="Sides of the training crops, as fractions of the shorter side of the frame.",
    )
    corner_crops: bool = Field(
        True,
        description="Training crops are taken from the four corners and the center of the frame; with false, from "
        "random positions.",
    )
    temporal_dropout: FractionBelowOne = Field(
        0.2, description="Dropout rate before the last layer of the temporal stream (0.9 in the paper)."
    )
    fusion: Literal["average", "weighted", "svm"] = Field(
        "average", description="Method that fuses the class scores of the two streams."
    )
    fusion_weights: Annotated[tuple[PositiveFloat, PositiveFloat], LISTED] = Field(
        (1.0, 1.5), description="Weights of the spatial and the temporal stream for fusion=weighted."
    )
    svm_holdout_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2,
        description="Fraction of the training clips on which the SVM of fusion=svm is fitted; the streams are not "
        "trained on them.",
    )

    @field_validator("crop_scales")
    @classmethod
    def _check_crop_scales(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not scales or min(scales) <= 0:
            raise ValueError("one or more numbers above 0 and at most 1")
        return scales


def _at_most(iou: float, upper_key: str, info: ValidationInfo) -> float:
    """Return `iou`, or raise ValueError if it is above the IoU threshold of the key `upper_key`."""
    upper = info.data.get(upper_key, 1.0)
    if iou > upper:
        raise ValueError(f"at most {upper_key}, which is {upper:g}")
    return iou
