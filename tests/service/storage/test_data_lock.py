"""One server at a time works on a data folder."""

import json
from pathlib import Path

import pytest

from service.errors import DataInUse, StorageFailure
from service.storage.data_lock import LEASE, FileLock, Lease, lock_data
from service.storage.storage import Storage
from tests.service.fake_clock import FakeClock

LEASE_S = 15.0


def lease_on(storage: Storage, clock: FakeClock) -> Lease:
    """Make a lease whose waiting lets the clock run."""
    return Lease(storage, LEASE_S, clock, clock.advance)


def remote(tmp_path: Path) -> tuple[Storage, Storage]:
    """Give two servers' views of one folder."""
    url = f"memory://{tmp_path.name}"
    return Storage(url), Storage(url)


def test_a_folder_on_disk_is_held_by_one_until_it_lets_go(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    first = lock_data(storage, LEASE_S)
    assert isinstance(first, FileLock)

    with pytest.raises(DataInUse, match=r"which process [0-9]+ on .* works on; expected one of"):
        lock_data(Storage(str(tmp_path)), LEASE_S)
    first.renew()
    first.release()

    lock_data(storage, LEASE_S).release()


def test_a_lease_says_who_holds_it_and_until_when(tmp_path: Path, clock: FakeClock) -> None:
    storage, _ = remote(tmp_path)

    lease_on(storage, clock).acquire()

    lease = json.loads(storage.read(LEASE))
    assert lease["until"] == clock() + LEASE_S
    assert "process" in lease["owner"]


def test_a_lease_that_is_renewed_is_not_given_to_a_second_server(
    tmp_path: Path, clock: FakeClock
) -> None:
    storage, other = remote(tmp_path)
    first = lease_on(storage, clock)
    first.acquire()
    passed: list[float] = []

    def wait(seconds: float) -> None:
        clock.advance(seconds)
        passed.append(seconds)
        if sum(passed) >= first.renew_every_s:
            first.renew()

    with pytest.raises(DataInUse, match=r"which process [0-9]+ on .* works on"):
        Lease(other, LEASE_S, clock, wait).acquire()

    # it need not wait for the lease to run out to be told so
    assert sum(passed) < LEASE_S
    storage.write("still", b"mine")


def test_the_lease_of_a_server_that_is_gone_runs_out(tmp_path: Path, clock: FakeClock) -> None:
    storage, other = remote(tmp_path)
    lease_on(storage, clock).acquire()
    began_s = clock()

    lease_on(other, clock).acquire()

    assert LEASE_S <= clock() - began_s < 2 * LEASE_S
    other.write("now", b"mine")


def test_a_server_that_slept_through_its_lease_changes_nothing_more(
    tmp_path: Path, clock: FakeClock
) -> None:
    storage, other = remote(tmp_path)
    first = lease_on(storage, clock)
    first.acquire()
    lease_on(other, clock).acquire()

    with pytest.raises(StorageFailure, match="has run out"):
        storage.write("a", b"late")
    with pytest.raises(DataInUse):
        first.renew()
    with pytest.raises(StorageFailure, match="has run out"):
        storage.write("a", b"late")


def test_a_lease_holds_up_to_its_end_and_not_at_it(tmp_path: Path, clock: FakeClock) -> None:
    storage, _ = remote(tmp_path)
    lease = lease_on(storage, clock)
    lease.acquire()

    clock.advance(LEASE_S - 0.001)
    storage.write("a", b"in time")
    clock.advance(0.001)
    with pytest.raises(StorageFailure):
        storage.write("a", b"late")
    # nobody took it meanwhile
    lease.renew()

    storage.write("a", b"again")


def test_a_lease_that_is_let_go_is_free_at_once(tmp_path: Path, clock: FakeClock) -> None:
    storage, other = remote(tmp_path)
    first = lease_on(storage, clock)
    first.acquire()
    first.release()
    began_s = clock()

    lease_on(other, clock).acquire()

    assert clock() - began_s < LEASE_S / 3
    with pytest.raises(StorageFailure):
        storage.write("a", b"late")


def test_a_lease_that_can_not_be_renewed_runs_out_when_it_was_told_to(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, _ = remote(tmp_path)
    lease = lease_on(storage, clock)
    lease.acquire()
    clock.advance(LEASE_S / 2)

    def unreachable(*_: object) -> None:
        raise OSError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(storage._files, "pipe_file", unreachable)  # noqa: SLF001
        with pytest.raises(StorageFailure, match="no route to host"):
            lease.renew()
    clock.advance(LEASE_S / 2)

    with pytest.raises(StorageFailure, match="has run out"):
        storage.write("a", b"late")


def test_half_a_lease_is_waited_for_like_a_whole_one(tmp_path: Path, clock: FakeClock) -> None:
    storage, other = remote(tmp_path)
    storage.write(LEASE, b'{"tok')
    began_s = clock()

    lease_on(other, clock).acquire()

    assert clock() - began_s >= LEASE_S
