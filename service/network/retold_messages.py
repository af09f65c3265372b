"""Finals and lessons that are told again after a lost connection.

They are part of a session's state: whoever resumes after a crash does not send again what the
snapshot holds, and would never hear its answers.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from service.state_tree import Tree, listed
from service.wire_protocol import Learned, Prediction

RETOLD_MESSAGES = 64
"""How many are remembered; the oldest are forgotten."""


class RetoldMessages:
    """The last finals and lessons of a session, in order.

    The engine thread fills it; the event loop reads it while the session has nothing to compute.
    """

    def __init__(self) -> None:
        self._messages: deque[Prediction | Learned] = deque(maxlen=RETOLD_MESSAGES)

    def __iter__(self) -> Iterator[Prediction | Learned]:
        """Walk over the messages, oldest first."""
        return iter(self._messages)

    def note(self, message: Prediction | Learned) -> None:
        """Remember a message if it is one of those that may not be lost."""
        match message:
            case Prediction(final=True) | Learned():
                self._messages.append(message)

    def capture(self) -> list[object]:
        """Return the messages as a list of trees."""
        return [_captured(message) for message in self._messages]

    def restore(self, tree: Tree) -> None:
        """Go on from what `capture` returned, under the name ``retold``.

        Raises:
            ValueError: It is no such list.
        """
        self._messages.clear()
        self._messages.extend(_restored(fields) for fields in listed(tree, "retold"))


def _captured(message: Prediction | Learned) -> Tree:
    fields: Tree = message.model_dump(exclude_none=True)
    if isinstance(message, Prediction) and message.probabilities is not None:
        # numbers of thousands of classes are better kept as numbers
        fields["probabilities"] = np.array(message.probabilities, np.float64)
    return fields


def _restored(fields: object) -> Prediction | Learned:
    if not isinstance(fields, dict):
        raise ValueError(f"retold {fields!r:.80} came; expected a prediction or a lesson")  # noqa: TRY004 - what a file holds
    probabilities = fields.get("probabilities")
    if isinstance(probabilities, np.ndarray):
        fields = fields | {"probabilities": tuple(probabilities.tolist())}
    form = Learned if fields.get("type") == "learned" else Prediction
    return form.model_validate(fields)
