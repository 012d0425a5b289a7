"""The label of pixels that have no class."""

VOID = 255  # as in Pascal VOC's masks: these pixels count neither in losses nor in scores
