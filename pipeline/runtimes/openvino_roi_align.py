"""OpenVINO's own RoIAlign in place of the one that a converted detector has of gathers and products.

The operation reads a map where it lies, while gathers write out sixteen places a bin first: a seventh to a quarter of a
whole detector's time. But it knows no end of a picture before the end of its map, so it answers only where each picture
of the batch fills its maps; what it answers comes with whether that was so.
"""

import numpy as np

NAMES = ("pooled", "boxes_in_cells", "level", "valid_cells")  # as roi_align.py has them; and map_0, map_1, ...
FILLS = "fills"  # the output that is added: bool, whether every picture of the batch fills its maps


def with_own_operation(model):
    """A copy of an `openvino.Model` with the operation and the output `FILLS`; None for one without our RoIAlign.

    Where `FILLS` is true its answers are those of `model` in f32. It is not for bf16, in which only the converted graph
    keeps the boxes in f32 (see `inference` in tasks/detection/model.py).
    """
    copy = model.clone()
    found = _find(copy)
    if found is None:
        return None
    pooled, arguments = found.pop("pooled"), list(found.values())
    readers = list(pooled.get_target_inputs())
    own = _own_operation(*pooled.get_partial_shape()[3:], *arguments)
    for reader in readers:
        reader.replace_source_output(own)
    fills = _fills(*arguments[2:4])
    fills.set_names({FILLS})
    copy.add_outputs([fills])
    copy.validate_nodes_and_infer_types()
    return copy


def _find(model):
    """{name: output} of the tensors that roi_align.py gives names, `NAMES` first and then the maps; or None."""
    named = {}
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


def _own_operation(bins, channels, boxes, level, _, *maps):
    """What the operation makes of the named tensors, as an output."""
    from openvino import opset13

    from retinue.tasks.detection.roi_align import SAMPLING_RATIO  # only here, since it imports TensorFlow

    def ints(value):
        return opset13.constant(np.array(value, np.int32))

    bins, channels = bins.get_length(), channels.get_length()
    count = opset13.gather(opset13.shape_of(level, "i32"), ints(1), ints(0))
    boxes, level = opset13.reshape(boxes, ints([-1, 4]), False), opset13.reshape(level, ints([-1]), False)
    pooled, rows = [], []
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
    place = opset13.scatter_update(opset13.broadcast(ints(0), total), rows, order, ints(0))
    pooled = opset13.transpose(opset13.gather(opset13.concat(pooled, 0), place, ints(0)), ints([0, 2, 3, 1]))
    shape = opset13.concat([ints([-1]), opset13.reshape(count, ints([1]), False), ints([bins, bins, channels])], 0)
    return opset13.reshape(pooled, shape, False).output(0)


def _fills(valid_cells, first_map):
    """Whether every picture's own part of the first map is all of it, as an output."""
    from openvino import opset13

    sides = opset13.gather(opset13.shape_of(first_map, "i32"), np.array([1, 2], np.int32), np.int32(0))
    return opset13.reduce_logical_and(opset13.equal(valid_cells, sides), np.array([0, 1], np.int32), False).output(0)
