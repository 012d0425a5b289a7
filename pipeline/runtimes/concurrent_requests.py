"""What runtimes share that have several requests under way at a time."""

import itertools
from collections import deque
from concurrent.futures import Future

import numpy as np


def finished(result):
    """A future that has its result already."""
    future = Future()
    future.set_result(result)
    return future


def call_in_parts(submit, inputs, streams):
    """One batch as so many requests as may run at a time.

    submit: function from a dict of arrays `[n, ...]` to a future of such a dict; inputs: the whole batch, `n` at least
    1; streams: how many parts there are at most. Gives the dict of the outputs, in the batch's order.
    """
    count = len(next(iter(inputs.values())))
    edges = np.linspace(0, count, min(streams, count) + 1).astype(int)
    futures = [
        submit({name: value[first:last] for name, value in inputs.items()}) for first, last in itertools.pairwise(edges)
    ]
    parts = [future.result() for future in futures]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def in_turn(futures, streams):
    """Yield the results of an iterable of futures in its order, which is gone on with while `streams` are under way."""
    waiting = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > streams:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
