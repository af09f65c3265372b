"""A session's files: verified, found again, healed from the one before, thinned out."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from service.errors import NotStored, SnapshotUnreadable, StorageFailure
from service.settings import StorageSettings
from service.storage.snapshot_format import Manifest, pack
from service.storage.snapshot_store import SnapshotStore, folder_of
from service.storage.storage import Storage
from tests.service.fake_clock import FakeClock

FOLDER = folder_of("local", "kitchen")


class Shelf:
    """A store with a clock, and states to put into it."""

    def __init__(self, storage: Storage, **settings: object) -> None:
        self.storage = storage
        self.clock = FakeClock()
        known = StorageSettings.model_validate({"url": storage.url} | settings)
        self.store = SnapshotStore(storage, known, self.clock)
        self.last: int | None = None

    def put(
        self,
        applied: int,
        *,
        epoch: int = 1,
        session: str = "kitchen",
        requested: bool = False,
    ) -> int:
        """Store a snapshot a second after the one before; return its number."""
        self.clock.advance(1)
        manifest = Manifest(
            principal="local",
            session=session,
            epoch=epoch,
            applied=applied,
            ticks=10 * applied,
            events=0,
            network_bytes=4096,
            taken_s=self.clock(),
            used_s=self.clock(),
            requested=requested,
            version="0.1.0",
        )
        self.last = self.store.next_number(self.last)
        contents = pack(manifest, {"applied": applied, "w": np.full(4, float(applied))})
        stored = self.store.write(folder_of("local", session), self.last, contents, manifest)
        assert stored.n_bytes == len(contents)
        return self.last

    def numbers(self) -> list[int]:
        """Return the numbers of the session's snapshots, newest first."""
        return [stored.number for stored in self.store.manifests(FOLDER)]

    def damage(self, number: int) -> None:
        """Flip one bit in the middle of a snapshot."""
        name = f"{FOLDER}/{number:020}.safetensors"
        contents = bytearray(self.storage.read(name))
        contents[-5] ^= 1
        self.storage.write(name, bytes(contents))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Storage(f"memory://{tmp_path.name}"))


def test_folders_are_named_by_a_digest_of_owner_and_name() -> None:
    digest = hashlib.sha256(b"local\0kitchen").hexdigest()

    assert f"sessions/{digest}" == FOLDER
    assert folder_of("a", "bc") != folder_of("ab", "c")


def test_the_newest_come_first_whether_sound_or_not(shelf: Shelf) -> None:
    numbers = [shelf.put(10), shelf.put(20), shelf.put(30)]
    shelf.damage(numbers[1])

    assert shelf.store.numbers(FOLDER) == numbers[::-1]
    assert shelf.store.numbers("sessions/nobody") == []


def test_a_folder_without_a_sound_snapshot_is_set_aside(shelf: Shelf) -> None:
    assert not shelf.store.set_aside(FOLDER)
    for number in (shelf.put(10), shelf.put(20)):
        shelf.damage(number)

    assert shelf.store.set_aside(FOLDER)

    assert shelf.numbers() == []
    (aside,) = shelf.storage.folders("aside")
    assert len(shelf.storage.sizes(f"aside/{aside}")) == 2


def test_numbers_rise_even_if_the_clock_does_not(shelf: Shelf) -> None:
    first = shelf.store.next_number(None)
    shelf.clock.advance(-500)

    assert first == 1_000_000_000
    assert shelf.store.next_number(first) == first + 1
    shelf.clock.advance(501)
    assert shelf.store.next_number(first) == first + 1_000_000


class ForgetfulStorage(Storage):
    """Says that it wrote, and did not write the last byte."""

    @override
    def write(self, name: str, contents: bytes) -> None:
        super().write(name, contents[:-1])


def test_what_is_not_there_as_it_was_written_does_not_count(tmp_path: Path) -> None:
    shelf = Shelf(ForgetfulStorage(f"memory://{tmp_path.name}"))

    with pytest.raises(StorageFailure, match="is not as it was written"):
        shelf.put(1)


def test_one_snapshot_is_read_by_its_number(shelf: Shelf) -> None:
    number = shelf.put(10)

    stored, tree = shelf.store.read(FOLDER, number)

    assert (stored.number, stored.manifest.applied, tree["applied"]) == (number, 10, 10)
    with pytest.raises(NotStored):
        shelf.store.read(FOLDER, number + 1)
    shelf.damage(number)
    with pytest.raises(SnapshotUnreadable):
        shelf.store.read(FOLDER, number)


def test_two_newest_some_periodic_and_the_requested_ones_are_kept(tmp_path: Path) -> None:
    shelf = Shelf(
        Storage(f"memory://{tmp_path.name}"),
        kept_periodic=2,
        periodic_spacing_s=4.0,
        kept_requested=2,
    )
    requested = {3, 8, 13}
    numbers = {}
    for second in range(1, 21):
        numbers[second] = shelf.put(second, requested=second in requested)
        left = shelf.store.thin(FOLDER, shelf.store.manifests(FOLDER))
        assert left == shelf.store.manifests(FOLDER)

    kept = {second for second, number in numbers.items() if number in shelf.numbers()}

    # 1 is the oldest periodic one, then 5, 9, 14 (13 was requested), 18: the last two stay
    assert kept == {20, 19} | {18, 14} | {8, 13}


def test_with_nothing_but_two_kept_there_are_two(tmp_path: Path) -> None:
    shelf = Shelf(Storage(f"memory://{tmp_path.name}"), kept_periodic=0, kept_requested=0)
    for applied in range(5):
        shelf.put(applied, requested=applied == 1)
        left = shelf.store.thin(FOLDER, shelf.store.manifests(FOLDER))
        assert left == shelf.store.manifests(FOLDER)

    assert [s.manifest.applied for s in shelf.store.manifests(FOLDER)] == [4, 3]


def test_every_stored_session_is_known_by_its_newest_readable_snapshot(shelf: Shelf) -> None:
    shelf.put(1, session="a")
    shelf.put(2, session="a")
    shelf.put(7, session="b")
    shelf.storage.write("sessions/0123/00000000000000000001.safetensors", b"no snapshot")
    shelf.storage.write("sessions/4567/notes.txt", b"not even by name")

    known = {s.manifest.session: s.manifest.applied for s in shelf.store.sessions()}

    assert known == {"a": 2, "b": 7}


def test_a_deleted_session_leaves_nothing(shelf: Shelf) -> None:
    shelf.put(1)
    shelf.put(2)

    shelf.store.delete(FOLDER)
    shelf.store.delete(FOLDER)

    assert shelf.numbers() == []
    assert list(shelf.store.sessions()) == []
