"""The options of `predict`, which the command line and the Python interface share."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PredictOptions:
    """Options of `predict`.

    Attributes:
        runtime: "auto" or a name of `choices.RUNTIMES`.
        precision: "auto" or a name of `choices.PRECISIONS`.
        formats: "jsonl" (always written), "csv", and "coco" for a detector.
        overlay: whether to write each image of this call with its prediction drawn on it into `out/overlays`. Files
            that an earlier call predicted are not drawn.
        crops: whether to write each detected object as an image of its own into `out/crops`.
        batch_size: the number of images in a batch; by default what suits the device.
        shard: "I/N" to process only the I-th of N parts of the files; I starts at 1.
        window: for a video model, the seconds of a window. Each window of a video then gets a prediction, instead of
            the whole video. Cameras and streams always have windows, by default of 2 seconds.
        stride: the seconds from the start of one window to the start of the next; by default `window`.
        engine: "local" for this process, "ray" for the workers of Ray.
        address: the Ray cluster, "auto" or "host:port"; None starts Ray on this machine.
        num_workers: the number of Ray workers; by default one for each machine.
    """

    runtime: str = "auto"
    precision: str = "auto"
    formats: Sequence[str] = ("jsonl",)
    overlay: bool = False
    crops: bool = False
    batch_size: int | None = None
    shard: str | None = None
    window: float | None = None
    stride: float | None = None
    engine: str = "local"
    address: str | None = None
    num_workers: int | None = None
