"""The page of settings: true to the settings, and current."""

from service.settings import Settings
from service.settings_table import PAGE, settings_page


def test_the_page_in_docs_is_current() -> None:
    written = PAGE.read_text(encoding="utf-8")

    assert written == settings_page(), "a setting changed: run `make settings`"


def test_every_setting_has_a_row_with_its_variable() -> None:
    page = settings_page()

    n_settings = sum(len(type(room).model_fields) for _, room in Settings())
    assert page.count("| `TCLIF_") == n_settings
    assert "| `TCLIF_ENGINE__KERNEL` | `cpu` | `auto` or `cpu` or `cuda` or `reference` |" in page


def test_a_row_tells_default_bounds_and_meaning() -> None:
    [row] = [line for line in settings_page().splitlines() if "TCLIF_SOCKET__ACK_EVERY_S" in line]

    assert row == (
        "| `TCLIF_SOCKET__ACK_EVERY_S` | `1.0` | number, above 0, at most 1 |"
        " An attached client gets an acknowledgement at least this often. |"
    )
