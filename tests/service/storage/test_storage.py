"""Objects in a folder: on disk, in memory, in an object store that speaks S3."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from service.errors import NotStored, StorageFailure
from service.storage.storage import Storage


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    """Give an empty storage of each kind."""
    if request.param == "folder":
        return Storage(str(tmp_path / "data"))
    if request.param == "memory":
        return Storage(f"memory://{tmp_path.name}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("object_store"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = tmp_path.name.replace("_", "-")
    made = Storage(f"s3://{bucket}/data")
    made._files.mkdir(bucket)  # noqa: SLF001 - a bucket is the operator's to make
    return made


def test_what_is_written_is_read_listed_and_deleted(storage: Storage) -> None:
    storage.write("a/one/1", b"first")
    storage.write("a/one/2", b"second one")
    storage.write("a/two/1", b"")

    assert storage.read("a/one/2") == b"second one"
    assert storage.read_begin("a/one/2", 6) == b"second"
    assert storage.read_begin("a/one/1", 60) == b"first"
    assert storage.sizes("a/one") == {"1": 5, "2": 10}
    assert storage.folders("a") == ["one", "two"]
    storage.delete("a/one/1")
    assert storage.sizes("a/one") == {"2": 10}


def test_an_object_is_replaced_whole(storage: Storage) -> None:
    storage.write("a/1", b"a long one")
    storage.write("a/1", b"short")

    assert storage.read("a/1") == b"short"
    assert storage.sizes("a") == {"1": 5}


def test_a_folder_moves_with_all_that_is_in_it(storage: Storage) -> None:
    storage.write("a/one/1", b"1")
    storage.write("a/one/2", b"22")

    storage.move_folder("a/one", "aside/one-7")

    assert storage.folders("a") == []
    assert storage.sizes("aside/one-7") == {"1": 1, "2": 2}


def test_an_object_moves_alone(storage: Storage) -> None:
    storage.write("a/one/1", b"1")
    storage.write("a/one/2", b"22")

    storage.move("a/one/2", "aside/one/2")

    assert storage.sizes("a/one") == {"1": 1}
    assert storage.read("aside/one/2") == b"22"
    with pytest.raises(NotStored, match="can't move 'a/one/2'"):
        storage.move("a/one/2", "aside/one/2")


def test_a_folder_is_deleted_with_all_that_is_in_it(storage: Storage) -> None:
    storage.write("a/one/1", b"1")
    storage.write("a/one/2", b"22")
    storage.write("a/two/1", b"1")

    storage.delete_folder("a/one")

    assert storage.folders("a") == ["two"]


def test_what_is_not_there_is_named_when_read_and_nothing_when_listed_or_deleted(
    storage: Storage,
) -> None:
    with pytest.raises(NotStored, match=r"can't read 'a/1' in .*it is not there"):
        storage.read("a/1")
    with pytest.raises(NotStored, match="can't read 'a/1' in"):
        storage.read_begin("a/1", 8)
    assert storage.sizes("a") == {}
    assert storage.folders("a") == []
    storage.delete("a/1")
    storage.delete_folder("a")


def test_nothing_is_changed_once_the_folder_is_another_servers(storage: Storage) -> None:
    storage.write("a/1", b"before")

    def refuse() -> None:
        raise StorageFailure("the lease has run out")

    storage.check_held = refuse
    changes: list[Callable[[], None]] = [
        lambda: storage.write("a/1", b"after"),
        lambda: storage.delete("a/1"),
        lambda: storage.delete_folder("a"),
        lambda: storage.move_folder("a", "b"),
        lambda: storage.move("a/1", "b/1"),
    ]
    for change in changes:
        with pytest.raises(StorageFailure, match="the lease has run out"):
            change()

    assert storage.read("a/1") == b"before"


def test_a_url_that_nothing_serves_is_refused() -> None:
    with pytest.raises(StorageFailure, match=r"can't open 'abc://x'.*abc"):
        Storage("abc://x")


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageFailure, match=r"can't make '.*file/data'"):
        Storage(str(tmp_path / "file" / "data"))


def test_an_object_that_can_not_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(str(tmp_path))
    storage.write("a/1", b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailure, match=r"can't write 'a/1' in .*No space left on device"):
        storage.write("a/1", b"after")

    assert storage.read("a/1") == b"before"
    assert storage.sizes("a") == {"1": 6}


def test_half_written_files_of_a_killed_server_are_not_seen_and_tidied_up(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write("a/1", b"whole")
    half = tmp_path / "a" / ".2.0badcafe.partial"
    half.write_bytes(b"hal")

    assert storage.sizes("a") == {"1": 5}
    storage.delete_partials()

    assert not half.exists()
    assert storage.read("a/1") == b"whole"


def test_a_folder_is_closed_to_others(tmp_path: Path) -> None:
    Storage(str(tmp_path / "deep" / "data")).write("a/1", b"")

    assert (tmp_path / "deep" / "data" / "a").stat().st_mode & 0o077 == 0


def test_credentials_in_a_url_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure) as failure:
        Storage(f"abc://user:secret@{tmp_path.name}/x")

    assert "secret" not in str(failure.value)
