"""Runs that processes of their own can compute: picklable, small, and some of them go wrong."""

import os
import signal

from benchmarks.training_runs import Desk, Result, train_and_judge
from tests.tclif_core.toy_examples import toy_examples, toy_training


def count_up(desk: Desk, *, n_passes: int) -> Result:
    """Tell of every pass; the result is a tuple, which JSON has not."""
    for _ in range(n_passes):
        desk.tell(1)
    return {"counted": tuple(range(n_passes))}


def fail(desk: Desk) -> Result:
    """Tell of a pass, then raise."""
    desk.tell(1)
    raise ArithmeticError("this run was meant to fail")


def die(_: Desk) -> Result:
    """End the process as a lack of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def wait_for_ever(_: Desk) -> Result:
    """Do nothing, without an end."""
    while True:
        signal.pause()


def train(desk: Desk, *, rate: float = 0.01) -> Result:
    """Train a small network for three passes."""
    training = toy_training(rate=rate, passes=3, examples_per_update=4)
    return train_and_judge(desk, training, toy_examples(4, seed=2))
