"""What the runtimes that run several requests at a time share."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

Arrays = Mapping[str, np.ndarray]
Result = TypeVar("Result")


def finished(result: Result) -> "Future[Result]":
    """Return a future that already has its result."""
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def call_in_parts(submit: Callable[[Arrays], "Future[Any]"], inputs: Arrays, num_requests: int) -> dict[str, Any]:
    """Run one batch as several requests at a time.

    Args:
        submit: function from a dict of arrays `[n, ...]` to a future of such a dict.
        inputs: the full batch, with at least one row.
        num_requests: the largest number of requests.

    Returns:
        The outputs, in the order of the batch.
    """
    count = len(next(iter(inputs.values())))
    edges = np.linspace(0, count, min(num_requests, count) + 1).astype(int)
    futures = [
        submit({name: value[first:last] for name, value in inputs.items()}) for first, last in itertools.pairwise(edges)
    ]
    outputs = [future.result() for future in futures]
    return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}


def in_turn(futures: "Iterable[Future[Result]]", num_requests: int) -> Iterator[Result]:
    """Yield the results of futures in their order, while up to `num_requests` of them are in flight."""
    in_flight: deque[Future[Result]] = deque()
    for future in futures:
        in_flight.append(future)
        if len(in_flight) > num_requests:
            yield in_flight.popleft().result()
    while in_flight:
        yield in_flight.popleft().result()
