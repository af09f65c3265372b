"""Models that come with the server are offered, and take nobody's name."""

from dataclasses import replace
from uuid import uuid4

from service.settings import QuotaSettings
from service.storage.model_store import EVERYBODY, ModelStore
from service.storage.shipped_models import publish_shipped
from service.storage.storage import Storage

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def empty_store() -> ModelStore:
    return ModelStore(Storage(f"memory://{uuid4()}"), QuotaSettings())


def test_a_new_folder_has_the_spoken_digits_with_where_they_come_from() -> None:
    models = empty_store()

    published = publish_shipped(models)

    [record] = models.visible("anybody")
    assert published == ["digits"]
    assert (record.version.name, record.version.is_published) == ("digits", True)
    assert record.document["network"]["inputs"] == 700
    assert list(record.document["classes"]) == DIGITS
    assert record.document["provenance"]["source"].startswith("digits:english")


def test_they_are_published_once() -> None:
    models = empty_store()
    publish_shipped(models)

    again = publish_shipped(models)

    assert again == []
    assert [each.version.version for each in models.records("anybody", "digits")] == [1]


def test_a_name_that_is_published_stays_as_it_is() -> None:
    models = empty_store()
    publish_shipped(models)
    own = models.newest("anybody", "digits").model
    other = empty_store()
    other.add(EVERYBODY, "digits", replace(own, provenance={"source": "my own"}))

    publish_shipped(other)

    [record] = other.records("anybody", "digits")
    assert record.document["provenance"]["source"] == "my own"
