import sys

import pytest

from clients.optional_packages import MissingPackage, import_optional


def test_an_installed_package_is_returned() -> None:
    assert import_optional("json", "to test") is sys.modules["json"]


def test_a_missing_package_gives_a_sentence_that_names_the_extra() -> None:
    with pytest.raises(MissingPackage) as caught:
        import_optional("no_such_package", "to hear colours", extra="synaesthesia")

    assert "'no_such_package' is needed to hear colours" in str(caught.value)
    assert "pip install 'tclif[synaesthesia]'" in str(caught.value)
    assert caught.value.name == "no_such_package"
