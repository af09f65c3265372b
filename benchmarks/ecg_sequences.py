"""The QT database's electrocardiograms as level-crossing spikes, with a class at nearly every tick.

618 + 141 sequences of 1,301 ticks, 4 channels of -1, 0 and 1, six classes (PhysioNet's QT database,
Laguna et al. 1997, in the encoding of Yin, Corradi and Bohte 2021); ticks without a class have no
target. What stands beside the networks are classifiers of one tick's leaky input traces.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat

from tclif_core import EventBlock
from tclif_core.training.examples import Example

ECG = Path(__file__).parents[2] / "shared" / "data" / "qtdb_ecg"

N_CHANNELS, N_CLASSES = 4, 6
TIME_CONSTANTS = (3.0, 8.0, 20.0, 50.0, 120.0)
"""Of the leaky traces, in ticks."""

_BATCH = 2048


class Sequences(NamedTuple):
    """One part of the set.

    Attributes:
        x: Input ``[n, T, 4]`` float32.
        targets: Class of each tick ``[n, T]``, -1 where it has none.
    """

    x: NDArray[np.float32]
    targets: NDArray[np.int64]

    def examples(self) -> list[Example]:
        """Return each sequence as an example whose ticks are scored one by one."""
        return [
            Example(EventBlock.from_dense([x]), targets)
            for x, targets in zip(self.x, self.targets, strict=True)
        ]


def load_sequences(part: str, folder: Path = ECG) -> Sequences:
    """Read ``train`` or ``test``.

    Raises:
        FileNotFoundError: The file is not there.
    """
    stored = loadmat(folder / f"QTDB_{part}.mat")
    y = stored["y"]
    targets = np.where(y.sum(axis=2) > 0, y.argmax(axis=2), -1).astype(np.int64)
    return Sequences(stored["x"].astype(np.float32), targets)


def leaky_traces(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features of each tick ``[n, T, 30]``: the input, any event, and leaky sums of both."""
    active = (x != 0).any(axis=2, keepdims=True).astype(np.float32)
    lines = np.concatenate([x, active], axis=2)
    features = [lines]
    for constant in TIME_CONSTANTS:
        keep = np.float32(np.exp(-1.0 / constant))
        traces, trace = np.empty_like(lines), np.zeros_like(lines[:, 0])
        for tick in range(lines.shape[1]):
            trace = keep * trace + lines[:, tick]
            traces[:, tick] = trace
        features.append(traces)
    return np.concatenate(features, axis=2)


def train_control(
    learnt: Sequences, judged: Sequences, *, hidden: int, passes: int, rate: float, seed: int
) -> list[list[int]]:
    """Train a classifier of single ticks, return right and scored ticks of each judged sequence.

    Args:
        learnt: What it is trained on.
        judged: What it is judged on.
        hidden: Rectified units between features and classes; 0: none, a linear classifier.
        passes: Over all labelled ticks, in batches of 2,048, Adam.
        rate: Learning rate at the start, falling to zero on a line.
        seed: Decides weights and order.
    """
    features, targets = leaky_traces(learnt.x), learnt.targets
    x = torch.from_numpy(features[targets >= 0])
    y = torch.from_numpy(targets[targets >= 0])
    mean, spread = x.mean(dim=0), x.std(dim=0) + 1e-6
    torch.manual_seed(seed)
    n_features = x.shape[1]
    layers = [torch.nn.Linear(n_features, hidden), torch.nn.ReLU()] if hidden else []
    model = torch.nn.Sequential(*layers, torch.nn.Linear(hidden or n_features, N_CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    n_batches = -(-len(x) // _BATCH)
    for n_pass in range(passes):
        for n, chosen in enumerate(torch.split(torch.randperm(len(x)), _BATCH)):
            share = (n_pass * n_batches + n) / (passes * n_batches)
            optimizer.param_groups[0]["lr"] = rate * (1.0 - share)
            logits = model((x[chosen] - mean) / spread)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits, y[chosen]).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
    with torch.no_grad():
        judged_x = (torch.from_numpy(leaky_traces(judged.x)) - mean) / spread
        predicted = model(judged_x).argmax(dim=2).numpy()
    labelled = judged.targets >= 0
    right = ((predicted == judged.targets) & labelled).sum(axis=1)
    return [[int(r), int(n)] for r, n in zip(right, labelled.sum(axis=1), strict=True)]
