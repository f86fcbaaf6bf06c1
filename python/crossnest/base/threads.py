"""Work on several threads, which Ctrl-C stops at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["in_threads"]

T = TypeVar("T")

#: Tasks queued for each thread.
_AHEAD = 8
#: Seconds between two looks for an interrupt.
_PATIENCE = 0.05


def in_threads(work: Callable[[int], T], n: int, threads: int) -> Iterator[T]:
    """Call work(0), ..., work(n - 1) in threads; an interrupt leaves no work queued.

    Parameters
    ----------
    work : callable
        What to do; it should work without the GIL.
    n : int
        How often.
    threads : int
        Number of threads; 0 stands for all cores.
    """
    threads = threads or os.cpu_count() or 1
    executor = ThreadPoolExecutor(threads)
    try:
        running: list[Future[T]] = []
        for i in range(n):
            running.append(executor.submit(work, i))
            if len(running) >= _AHEAD * threads:
                yield _result(running.pop(0))
        for one in running:
            yield _result(one)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[T]) -> T:
    """Wait for a result in steps: a wait without end would not hear Ctrl-C on all systems."""
    while not future.done():
        wait([future], timeout=_PATIENCE)
    return future.result()
