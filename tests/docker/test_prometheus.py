"""What Prometheus is told to scrape and to warn of."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.docker.exposed_series import exposed_series

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "prometheus"
OF_PROMETHEUS = {"up"}


class Rule(NamedTuple):
    """One alert."""

    name: str
    expression: str
    severity: str


def rules() -> list[Rule]:
    document = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return [
        Rule(rule["alert"], rule["expr"], rule["labels"]["severity"])
        for group in document["groups"]
        for rule in group["rules"]
    ]


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool, a program of Prometheus, is not installed")
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_an_alert_asks_for_series_that_the_server_exposes(rule: Rule) -> None:
    asked = set(re.findall(r"\b(?:tclif|process|python)_\w+|\bup\b", rule.expression))

    assert asked, "an alert is about something"
    assert asked <= exposed_series() | OF_PROMETHEUS


def test_every_alert_has_a_unit_test_that_fires_and_one_that_does_not() -> None:
    document = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))
    fires = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in document["tests"]
        for case in test["alert_rule_test"]
    }

    expected = {(rule.name, fired) for rule in rules() for fired in (True, False)}
    assert expected - fires == set()


def test_severities_are_those_that_the_operations_page_explains() -> None:
    assert {rule.severity for rule in rules()} == {"critical", "warning", "info"}


@pytest.mark.parametrize(
    "arguments",
    [
        # the token's file exists in the container only
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_agrees(promtool: str, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(  # noqa: S603 - a program found on the path, with fixed arguments
        [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
