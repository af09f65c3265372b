"""Training by backpropagation through time, with the optimisers that sessions have.

Shapes: T ticks of the longest example, S examples of an update.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tclif_core.bptt import Unrolled, UnrolledNetwork, objective
from tclif_core.hyperparameters import LearningSpec, NetworkSpec
from tclif_core.optimizers import OptimizerRows, is_usable, length, step
from tclif_core.training.examples import Example, dense_input, dense_targets
from tclif_core.training.scores import Tally
from tclif_core.training.spec import TrainingSpec

_DECAYING = ("w", "r")


class BpttTraining:
    """A network under autograd, and the moments of its optimiser."""

    def __init__(self, network: NetworkSpec, learning: LearningSpec, spec: TrainingSpec) -> None:
        """Make the network that a session of the same seed would begin with.

        Raises:
            ValueError: The learning is not by segments, or its ``layer_rates`` are for a network
                of another depth.
        """
        if learning.update != "segment":
            raise ValueError(f"method 'bptt' needs update 'segment', got {learning.update!r}")
        self._learning, self._loss_form = learning, spec.loss_form
        self._network = UnrolledNetwork(network, learning, seed=spec.seed)
        self._rates = learning.rates_of_layers(network)
        self._learnt = {
            name: parameter
            for name, parameter in self._network.named_parameters()
            if parameter.requires_grad
        }
        self._first = self._moments(is_kept=learning.keeps_first_moment)
        self._second = self._moments(is_kept=learning.keeps_second_moment)
        self._n_updates = 0

    def learn(self, examples: Sequence[Example], rate: float, tally: Tally) -> bool:
        """Make one update from the mean of the examples' gradients.

        Args:
            examples: At least one.
            rate: Learning rate of this update.
            tally: Answers, given before this update; written in place.

        Returns:
            False if the gradient is not finite: then the weights are those of before.
        """
        x = torch.from_numpy(dense_input(examples, self._network.network.inputs))
        answers: Unrolled = self._network(x)
        targets = torch.from_numpy(dense_targets(examples))
        loss = objective(answers.logits, targets, self._learning.loss, self._loss_form)
        self._network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._tally(examples, answers.logits.detach(), float(loss.detach()), tally)
        gradients = {
            name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for name, parameter in self._learnt.items()
        }
        if not all(is_usable(gradient) for gradient in gradients.values()):
            return False
        self._clip(gradients)
        self._step(gradients, rate)
        return True

    def weights(self) -> dict[str, NDArray[np.floating]]:
        """Return copies of all parameters, as `Learner.weights`."""
        return self._network.weights()

    def state(self) -> dict[str, torch.Tensor]:
        """Return copies of parameters as they are held, and of the optimiser's moments."""
        parts = {
            "held": self._network.state_dict(),
            "first_moment": self._first,
            "second_moment": self._second,
        }
        state = {
            f"{part}.{name}": tensor.detach().clone()
            for part, tensors in parts.items()
            for name, tensor in tensors.items()
        }
        return state | {"n_updates": torch.tensor(self._n_updates)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned, bit for bit.

        Raises:
            ValueError: It is the state of another network or learning; nothing changed.
        """
        present = self.state()
        shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in present.items()}
        came = {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
        if came != shapes:
            differing = sorted(n for n in came | shapes if came.get(n) != shapes.get(n))
            raise ValueError(f"the state is of another network: {', '.join(differing)} differ")
        with torch.no_grad():
            for name, parameter in self._network.named_parameters():
                parameter.copy_(state[f"held.{name}"])
        for name in self._learnt:
            self._first[name].copy_(state[f"first_moment.{name}"])
            self._second[name].copy_(state[f"second_moment.{name}"])
        self._n_updates = int(state["n_updates"])

    def _moments(self, *, is_kept: bool) -> dict[str, torch.Tensor]:
        return {
            name: torch.zeros(parameter.numel() if is_kept else 0, dtype=parameter.dtype)
            for name, parameter in self._learnt.items()
        }

    def _tally(
        self, examples: Sequence[Example], logits: torch.Tensor, loss: float, tally: Tally
    ) -> None:
        probabilities = logits.softmax(dim=-1).numpy()
        for row, example in enumerate(examples):
            n_ticks = example.n_ticks
            mean = probabilities[:n_ticks, row].mean(axis=0)
            tally.add_answers(example, logits[:n_ticks, row].numpy(), mean)
        n_labelled = [int(example.labelled.sum()) for example in examples]
        if self._loss_form == "summed_logits":
            n_labelled = [min(1, n) for n in n_labelled]
        # the objective is a mean over examples of sums over their ticks
        tally.add_loss(loss * len(examples), sum(n_labelled))

    def _clip(self, gradients: Mapping[str, torch.Tensor]) -> None:
        clip = self._learning.gradient_clip
        if clip is None:
            return
        whole = math.hypot(*(length(g) for g in gradients.values()))
        if whole > clip:
            for gradient in gradients.values():
                gradient.mul_(clip / whole)

    @torch.no_grad()
    def _step(self, gradients: Mapping[str, torch.Tensor], rate: float) -> None:
        self._n_updates += 1
        for name, parameter in self._learnt.items():
            layer, _, kind = name.partition("_")
            layer_rate = self._rates[-1 if layer == "readout" else int(layer[len("layer") :])]
            if layer_rate == 0.0:
                continue
            rows = OptimizerRows(
                parameter.view(-1),
                gradients[name].reshape(-1),
                self._first[name],
                self._second[name],
            )
            scaled = rate * layer_rate
            step(self._learning, rows, rate=scaled, n_updates=self._n_updates)
            if kind in _DECAYING:
                parameter.mul_(max(1.0 - scaled * self._learning.weight_decay, 0.0))
        self._network.keep_in_bounds()
