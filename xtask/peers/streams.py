"""A batch shared among workers of one thread each, which some systems do faster than threads inside a layer."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Streams:
    """`make_worker(images)` returns a function without arguments that computes the logits of these images, releasing
    the interpreter's lock while it does."""

    def __init__(self, images, count, make_worker):
        self.workers = [make_worker(np.ascontiguousarray(part)) for part in np.array_split(images, count)]
        self.pool = ThreadPoolExecutor(count)

    def __call__(self):
        return np.concatenate(list(self.pool.map(lambda worker: worker(), self.workers)))


def worth_trying(asked):
    """Whether the batch can be shared among the threads at all."""
    return asked.threads > 1 and asked.batch >= asked.threads
