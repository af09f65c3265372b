"""Requests made from the server's OpenAPI document: every answer is one that it describes."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok

from tests.end_to_end.conversation_partner import TIMEOUT_S
from tests.end_to_end.running_server import START_TIMEOUT_S, ServerThread, server_thread

ENDLESS = ["/v1/monitor", "/v1/sessions/{name}/watch"]
"""They answer for as long as they are read."""

N_OPERATIONS = 13
"""At least so many pages there are: none may get lost from the document unnoticed."""


JSON = {"Content-Type": "application/json"}
"""What changes something must say so, even without a body: no foreign page's form can."""


def call_all(running: ServerThread) -> int:
    """Call every operation of a server's document; return how many there are."""
    document = schemathesis.openapi.from_url(
        f"http://{running.host}/openapi.json", timeout=START_TIMEOUT_S
    )
    n_operations = 0
    for found in document.exclude(path=ENDLESS).get_all_operations():
        assert isinstance(found, Ok), found
        n_operations += 1

        @settings(
            max_examples=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(found.ok().as_strategy())
        def is_answered_as_described(case: Case[Any]) -> None:
            headers = None if case.method == "GET" else JSON
            case.call_and_validate(headers=headers, timeout=TIMEOUT_S)

        is_answered_as_described()
    return n_operations


def test_every_answer_is_described() -> None:
    with server_thread({}) as running:
        assert call_all(running) >= N_OPERATIONS
