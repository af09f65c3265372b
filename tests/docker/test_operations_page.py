"""docs/operations.md speaks of what there is."""

import re
from pathlib import Path

import pytest
import yaml

from service.settings_table import settings_page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_alert_is_explained_and_no_other() -> None:
    rules = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]

    assert re.findall(r"^\| `(Tclif\w+)` \|", PAGE, re.MULTILINE) == alerts


def test_every_setting_that_it_names_exists() -> None:
    named = set(re.findall(r"TCLIF_[A-Z]+__[A-Z_]+", PAGE))

    assert named
    assert named <= set(re.findall(r"TCLIF_[A-Z]+__[A-Z_]+", settings_page()))


def test_every_variable_of_the_stack_is_explained() -> None:
    stack = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    for variable in set(re.findall(r"\$\{(\w+)", stack)):
        assert f"`{variable}`" in PAGE, variable


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]*#?[^)#:]*)\)", PAGE))
def test_a_link_leads_somewhere(target: str) -> None:
    path, _, heading = target.partition("#")
    file = ROOT / "docs" / path if path else ROOT / "docs" / "operations.md"

    assert file.exists()
    # what has no heading may be a picture
    text = file.read_text(encoding="utf-8") if heading else ""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert not heading or heading in {
        re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings
    }
