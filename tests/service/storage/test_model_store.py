"""Stored models: whose they are, their versions, and what becomes of damaged ones."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from service.errors import QuotaExceeded, UnknownModel
from service.settings import QuotaSettings
from service.storage.model_store import EVERYBODY, ModelStore, ModelVersion
from service.storage.storage import Storage
from tclif_core import ModelFileError, pack_model
from tests.service.small_models import small_model


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Storage(str(tmp_path)), QuotaSettings())


def names(store: ModelStore, principal: str) -> list[tuple[str, int, bool]]:
    return [
        (record.version.name, record.version.version, record.version.is_published)
        for record in store.visible(principal)
    ]


def file_of(folder: Path, version: ModelVersion) -> Path:
    digest = hashlib.sha256(f"{version.owner}\x00{version.name}".encode()).hexdigest()
    return folder / "models" / digest / f"{version.version}.safetensors"


def test_a_model_comes_back_to_the_last_bit(store: ModelStore) -> None:
    model = small_model()

    version = store.add("alice", "digits", model)
    stored = store.newest("alice", "digits")

    assert version == stored.version == ModelVersion("alice", "digits", 1)
    assert {name: w.tobytes() for name, w in stored.model.weights.items()} == {
        name: w.tobytes() for name, w in model.weights.items()
    }
    assert (stored.model.classes, stored.model.tick_us) == (("zero", "one", "two"), 5000)
    assert stored.model.provenance["seed"] == 1


def test_versions_rise_and_older_ones_never_change(store: ModelStore, tmp_path: Path) -> None:
    first = store.add("alice", "digits", small_model(1))
    before = file_of(tmp_path, first).read_bytes()

    second = store.add("alice", "digits", small_model(2))

    assert (first.version, second.version) == (1, 2)
    assert file_of(tmp_path, first).read_bytes() == before
    assert store.newest("alice", "digits").model.provenance["seed"] == 2
    assert [record.version for record in store.records("alice", "digits")] == [first, second]


def test_the_tenth_version_follows_the_ninth(store: ModelStore) -> None:
    versions = [store.add("alice", "digits", small_model()).version for _ in range(11)]

    assert versions == [*range(1, 12)]
    assert store.newest("alice", "digits").version.version == 11


def test_a_principal_sees_its_own_models_and_published_ones(store: ModelStore) -> None:
    store.add("alice", "mine", small_model())
    store.add("bob", "mine", small_model())
    store.add("bob", "mine", small_model())
    store.add(EVERYBODY, "ours", small_model())

    assert names(store, "alice") == [("mine", 1, False), ("ours", 1, True)]
    assert names(store, "bob") == [("mine", 2, False), ("ours", 1, True)]
    assert names(store, "carol") == [("ours", 1, True)]
    for look in (store.newest, store.records):
        with pytest.raises(UnknownModel, match="model 'mine' came; expected one of GET /v1/models"):
            look("carol", "mine")


def test_an_own_model_comes_before_a_published_one_of_the_same_name(store: ModelStore) -> None:
    store.add(EVERYBODY, "digits", small_model(1))
    store.add("alice", "digits", small_model(2))

    assert store.newest("alice", "digits").model.provenance["seed"] == 2
    assert store.newest("bob", "digits").model.provenance["seed"] == 1
    assert names(store, "alice") == [("digits", 1, False), ("digits", 1, True)]


def test_a_name_names_no_path(store: ModelStore, tmp_path: Path) -> None:
    store.add("..", "../../x", small_model())

    outside = [path for path in tmp_path.iterdir() if path.name != "models"]
    assert outside == []
    assert store.newest("..", "../../x").version.version == 1
    # the border between owner and name can't be moved
    with pytest.raises(UnknownModel):
        store.newest("../..", "/x")


def test_another_store_in_the_same_folder_sees_what_is_added(
    store: ModelStore, tmp_path: Path
) -> None:
    store.add(EVERYBODY, "digits", small_model())
    other = ModelStore(Storage(str(tmp_path)), QuotaSettings())

    assert other.add(EVERYBODY, "digits", small_model()).version == 2

    assert names(store, "alice") == [("digits", 2, True)]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "of another"])
def test_a_damaged_model_is_unknown(store: ModelStore, tmp_path: Path, damage: str) -> None:
    path = file_of(tmp_path, store.add("alice", "digits", small_model()))
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    contents = {"flipped": flipped, "cut": whole[:100], "empty": b"", "of another": b"x" * 5000}
    path.write_bytes(contents[damage])

    with pytest.raises(UnknownModel, match="newest version 1 is damaged"):
        store.newest("alice", "digits")

    # a flipped weight shows when the weights are read; the others are not even listed
    fresh = ModelStore(Storage(str(tmp_path)), QuotaSettings())
    assert len(fresh.visible("alice")) == (damage == "flipped")


def test_a_file_in_the_place_of_another_is_not_shown(store: ModelStore, tmp_path: Path) -> None:
    mine = file_of(tmp_path, store.add("alice", "digits", small_model()))
    theirs = file_of(tmp_path, ModelVersion("bob", "digits", 1))
    theirs.parent.mkdir()
    mine.rename(theirs)

    assert names(store, "bob") == []


def test_a_model_that_is_none_is_not_stored(store: ModelStore) -> None:
    weights = dict(small_model().weights)
    weights["readout.b"] = np.full(3, np.nan, np.float32)

    with pytest.raises(ModelFileError, match=r"readout\.b"):
        store.add("alice", "digits", small_model(weights=weights))

    assert names(store, "alice") == []


def test_a_principals_models_are_bounded_and_published_ones_are_not(tmp_path: Path) -> None:
    store = ModelStore(Storage(str(tmp_path)), QuotaSettings(models=1))
    store.add("alice", "a", small_model())

    with pytest.raises(QuotaExceeded, match="'alice' has 1 stored models; expected fewer than 1"):
        store.add("alice", "b", small_model())

    store.add("bob", "b", small_model())
    for _ in range(2):
        store.add(EVERYBODY, "b", small_model())


def test_a_principals_model_files_are_bounded_together(tmp_path: Path) -> None:
    # what is stored says who owns it, so it is somewhat larger than the model alone
    n_bytes = len(pack_model(small_model(), "m")) + 1000
    store = ModelStore(Storage(str(tmp_path)), QuotaSettings(model_bytes=n_bytes))
    store.add("alice", "a", small_model())

    with pytest.raises(QuotaExceeded, match=f"expected at most {n_bytes} together"):
        store.add("alice", "a", small_model())


def test_an_older_version_can_be_removed_and_its_number_is_not_given_again(
    store: ModelStore,
) -> None:
    for _ in range(3):
        store.add("alice", "digits", small_model())

    assert store.remove("alice", "digits", 1) == [ModelVersion("alice", "digits", 1)]
    with pytest.raises(UnknownModel, match=r"version 3 came; expected one of \[2\], or all"):
        store.remove("alice", "digits", 3)
    with pytest.raises(UnknownModel, match="version 1 came"):
        store.remove("alice", "digits", 1)

    assert [record.version.version for record in store.records("alice", "digits")] == [2, 3]
    assert store.add("alice", "digits", small_model()).version == 4


def test_a_removed_model_is_unknown_and_makes_room(tmp_path: Path) -> None:
    store = ModelStore(Storage(str(tmp_path)), QuotaSettings(models=1))
    store.add("alice", "digits", small_model())

    store.remove("alice", "digits", None)

    with pytest.raises(UnknownModel):
        store.newest("alice", "digits")
    assert names(store, "alice") == []
    store.add("alice", "letters", small_model())


def test_what_is_not_there_is_not_removed(store: ModelStore) -> None:
    store.add("alice", "digits", small_model())

    for owner, name in (("bob", "digits"), (EVERYBODY, "digits"), ("alice", "letters")):
        with pytest.raises(UnknownModel, match="expected a stored model"):
            store.remove(owner, name, None)

    assert names(store, "alice") == [("digits", 1, False)]
