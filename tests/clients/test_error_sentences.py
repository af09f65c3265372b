from pathlib import Path

import pytest

from clients.error_sentences import sentence


def test_a_missing_file_is_named_without_an_error_number(tmp_path: Path) -> None:
    path = tmp_path / "none.raw"

    with pytest.raises(FileNotFoundError) as caught:
        path.read_bytes()

    assert sentence(caught.value) == f"{path}: No such file or directory"


def test_other_errors_keep_their_words() -> None:
    assert sentence(FileNotFoundError("no folder x")) == "no folder x"
    assert sentence(ValueError("pool is 0")) == "pool is 0"
