"""OpenVINO's own RoIAlign in place of the gathers and products of a converted detector.

The operation reads a feature map in place, while the gathers first copy sixteen positions per bin: a seventh to a
quarter of the time of a whole detector. But it does not know that an image may end before its feature map, so it can
be used only if every image of the batch fills its feature maps. The model reports whether that was so.
"""

from typing import Any

import numpy as np

# The names of the tensors in tasks/detection/roi_align.py, beside map_0, map_1, ...
NAMES = (
    "pooled",
    "boxes_in_cells",
    "level",
    "valid_cells",
)  # of the tensors in tasks/detection/roi_align.py, beside map_0, map_1, ...
FILLS = "fills"  # the added output: bool, whether every image of the batch fills its feature maps


def with_openvino_roi_align(model: Any) -> Any:
    """Return a copy of an `openvino.Model` with OpenVINO's RoIAlign and the output `FILLS`.

    Where `FILLS` is true, its outputs equal those of `model` in f32. It must not be used in bf16, in which only the
    converted graph keeps the boxes in f32 (see `inference` in tasks/detection/model.py).

    Returns:
        The copy, or None for a model without our RoIAlign.
    """
    copy = model.clone()
    tensors = _find_tensors(copy)
    if tensors is None:
        return None
    pooled, arguments = tensors.pop("pooled"), list(tensors.values())
    readers = list(pooled.get_target_inputs())
    own = _openvino_roi_align(*pooled.get_partial_shape()[3:], *arguments)
    for reader in readers:
        reader.replace_source_output(own)
    fills = _fills(*arguments[2:4])
    fills.set_names({FILLS})
    copy.add_outputs([fills])
    copy.validate_nodes_and_infer_types()
    return copy


def _find_tensors(model: Any) -> dict[str, Any] | None:
    """Return the outputs that roi_align.py names, `NAMES` first and then the maps; None if there are none."""
    named: dict[str, Any] = {}
    for node in model.get_ordered_ops():
        for output in node.outputs():
            for name in output.names:
                parts = name.removesuffix(":0").split("/")
                if len(parts) > 1 and parts[-2].startswith("roi_align"):
                    named[parts[-1]] = output
    if not all(name in named for name in (*NAMES, "map_0")):
        return None
    maps = [f"map_{number}" for number in range(sum(name.startswith("map_") for name in named))]
    return {name: named[name] for name in (*NAMES, *maps)}


def _openvino_roi_align(bins: Any, channels: Any, boxes: Any, level: Any, _: Any, *maps: Any) -> Any:
    """Return the output of the operation for the named tensors."""
    from openvino import opset13

    from retinue.tasks.detection.roi_align import SAMPLING_RATIO  # only here, since it imports TensorFlow

    def ints(value: Any) -> Any:
        return opset13.constant(np.array(value, np.int32))

    bins, channels = bins.get_length(), channels.get_length()
    count = opset13.gather(opset13.shape_of(level, "i32"), ints(1), ints(0))
    boxes, level = opset13.reshape(boxes, ints([-1, 4]), False), opset13.reshape(level, ints([-1]), False)
    pooled: Any = []
    rows: Any = []
    for number, each in enumerate(maps):
        chosen = opset13.squeeze(opset13.non_zero(opset13.equal(level, ints(number)), "i32"), ints([0]))
        image = opset13.divide(chosen, count)
        planes = opset13.transpose(each, ints([0, 3, 1, 2]))
        chosen_boxes = opset13.gather(boxes, chosen, ints(0))
        pooled.append(
            opset13.roi_align(planes, chosen_boxes, image, bins, bins, SAMPLING_RATIO, 1.0, "avg", "asymmetric")
        )
        rows.append(chosen)
    rows = opset13.concat(rows, 0)
    total = opset13.shape_of(rows, "i32")
    order = opset13.range(ints(0), opset13.squeeze(total, ints([0])), ints(1), "i32")
    position = opset13.scatter_update(opset13.broadcast(ints(0), total), rows, order, ints(0))
    pooled = opset13.transpose(opset13.gather(opset13.concat(pooled, 0), position, ints(0)), ints([0, 2, 3, 1]))
    shape = opset13.concat([ints([-1]), opset13.reshape(count, ints([1]), False), ints([bins, bins, channels])], 0)
    return opset13.reshape(pooled, shape, False).output(0)


def _fills(valid_cells: Any, first_map: Any) -> Any:
    """Return the output that says whether every image fills the first feature map."""
    from openvino import opset13

    sides = opset13.gather(opset13.shape_of(first_map, "i32"), np.array([1, 2], np.int32), np.int32(0))
    return opset13.reduce_logical_and(opset13.equal(valid_cells, sides), np.array([0, 1], np.int32), False).output(0)
