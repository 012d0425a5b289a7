import numpy as np
import pytest

from retinue.pipeline.runtimes.concurrent_requests import call_in_parts, finished


@pytest.mark.parametrize(("count", "streams", "sizes"), [(5, 2, [2, 3]), (1, 4, [1]), (3, 3, [1, 1, 1]), (4, 1, [4])])
def test_a_batch_comes_back_in_its_order(count, streams, sizes):
    asked = []

    def submit(inputs):
        asked.append(len(inputs["x"]))
        return finished({"double": 2 * inputs["x"], "sum": inputs["x"].sum(1)})

    x = np.arange(2 * count).reshape(count, 2)
    outputs = call_in_parts(submit, {"x": x}, streams)
    assert asked == sizes
    np.testing.assert_array_equal(outputs["double"], 2 * x)
    np.testing.assert_array_equal(outputs["sum"], x.sum(1))
