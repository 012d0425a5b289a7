"""Configuration keys and values of retinue 0.1 and their new names.

An old name is not an alias. It is an error whose message contains the new name.
"""

STAGE = "train.stages.<stage>"

RENAMED_KEYS = {
    "data.on_bad": "data.on_invalid",
    "data.bad_share": "data.max_invalid_fraction",
    "data.val_share": "data.val_fraction",
    "data.test_share": "data.test_fraction",
    "data.fit": "data.resize_mode",
    "data.jpeg_scaling": "data.jpeg_dct_scaling",
    "augment.quarter_turns": "augment.random_rot90",
    "augment.randaugment_layers": "augment.randaugment_num_ops",
    f"{STAGE}.rate": f"{STAGE}.learning_rate",
    f"{STAGE}.final_rate": f"{STAGE}.final_learning_rate",
    f"{STAGE}.backbone_rate": f"{STAGE}.backbone_lr_multiplier",
    f"{STAGE}.frozen_below": f"{STAGE}.freeze_until_stride",
    f"{STAGE}.frozen_layers": f"{STAGE}.freeze_layers",
    f"{STAGE}.learns": f"{STAGE}.train_streams",
    "train.accumulate": "train.gradient_accumulation_steps",
    "train.rate_for_batch": "train.reference_batch_size",
    "train.steps_at": "train.lr_milestones",
    "train.steps_factor": "train.lr_gamma",
    "train.balance": "train.class_balance",
    "train.ema": "train.ema_decay",
    "train.early_stop": "train.early_stopping_patience",
    "train.save_minutes": "train.checkpoint_minutes",
    "train.keep_checkpoints": "train.max_checkpoints",
    "train.feature_views": "train.cached_feature_views",
    "evaluate.views": "evaluate.tta",
    "evaluate.bootstrap": "evaluate.bootstrap_samples",
    "detection.style": "detection.architecture",
    "detection.longest_side": "detection.max_size",
    "detection.crossing_anchors": "detection.train_on_boundary_anchors",
    "detection.anchors_sampled": "detection.rpn_batch_size_per_image",
    "detection.boxes_sampled": "detection.box_batch_size_per_image",
    "detection.background_from": "detection.box_bg_iou_low",
    "detection.train_candidates": "detection.rpn_pre_nms_top_n_train",
    "detection.candidates": "detection.rpn_pre_nms_top_n_test",
    "detection.train_proposals": "detection.rpn_post_nms_top_n_train",
    "detection.proposals": "detection.rpn_post_nms_top_n_test",
    "detection.smallest_proposal": "detection.rpn_min_size",
    "detection.pyramid_channels": "detection.fpn_channels",
    "detection.head_width": "detection.box_head_dim",
    "detection.head_beta": "detection.box_smooth_l1_beta",
    "detection.most_detections": "detection.max_detections",
    "segmentation.linear_layers": "segmentation.convert_fc_layers",
    "segmentation.focus": "segmentation.focal_gamma",
    "segmentation.dice": "segmentation.dice_weight",
    "segmentation.scale": "segmentation.scale_range",
    "segmentation.rotation": "segmentation.rotation_degrees",
    "segmentation.longest_side": "segmentation.max_size",
    "segmentation.window": "segmentation.tile_size",
    "segmentation.overlap": "segmentation.tile_overlap",
    "segmentation.flip": "segmentation.tta_flip",
    "segmentation.scales": "segmentation.tta_scales",
    "segmentation.scores": "segmentation.export_scores",
    "video.segments": "video.train_segments",
    "video.test_snippets": "video.test_segments",
    "video.flow_fields": "video.flow_length",
    "video.subtract_mean": "video.flow_subtract_mean",
    "video.fusion_share": "video.svm_holdout_fraction",
}

RENAMED_VALUES = {
    "data.resize_mode": {"squash": "stretch", "crop": "center_crop", "pad": "letterbox"},
    "train.precision": {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"},
    "train.strategy": {"one": "single", "multiworker": "multi_worker"},
    "train.class_balance": {"mild": "sqrt_weights"},
    "evaluate.tta": {"one": "none"},
    "detection.architecture": {"classic": "c4"},
    "segmentation.head": {"aspp": "deeplabv3"},
}


def new_name(path: tuple[str, ...]) -> str | None:
    """Return the last part of the key that replaced the key `path`, or None if `path` was not renamed."""
    if path[:2] == ("train", "stages") and len(path) == 4:
        path = ("train", "stages", "<stage>", path[3])
    replaced_by = RENAMED_KEYS.get(".".join(path))
    return replaced_by.rpartition(".")[2] if replaced_by else None


def new_value(path: tuple[str, ...], value: object) -> str | None:
    """Return the value that replaced `value` of the key `path`, or None if it was not renamed."""
    values = RENAMED_VALUES.get(".".join(path), {})
    return values.get(value) if isinstance(value, str) else None


def has_renamed_key(content: object) -> bool:
    """Return whether a configuration, as plain data, has a key of retinue 0.1 that was renamed since."""
    if not isinstance(content, dict):
        return False
    sections = {key.split(".")[0] for key in RENAMED_KEYS}
    return any(new_name((section, key)) for section in sections for key in _keys(content.get(section)))


def _keys(section: object) -> list[str]:
    return [str(key) for key in section] if isinstance(section, dict) else []
