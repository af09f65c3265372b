"""The page of metrics: true to the server's registry, and current."""

from service.metrics_table import PAGE, metrics_page


def test_the_page_in_docs_is_current() -> None:
    written = PAGE.read_text(encoding="utf-8")

    assert written == metrics_page(), "a metric changed: run `make metrics`"


def test_a_row_tells_series_kind_labels_and_meaning() -> None:
    rows = metrics_page().splitlines()

    assert (
        "| `tclif_predictions_total` | counter, `final`: `true`, `false` | Predictions made. |"
    ) in rows
    assert (
        "| `tclif_session_accuracy` | distribution | Sessions by windowed prequential accuracy. |"
    ) in rows
