"""Threads that wait for a storage: results, errors, and calls that never return."""

import threading

import pytest

from service.errors import StorageFailure
from service.storage.storage_threads import StorageThreads


async def test_results_and_errors_come_back() -> None:
    threads = StorageThreads(1, timeout_s=30.0)

    def refuse() -> None:
        raise StorageFailure("it is full")

    assert await threads.run(lambda: threading.current_thread().name) == "storage-0"
    with pytest.raises(StorageFailure, match="it is full"):
        await threads.run(refuse)
    assert await threads.run(lambda: 7) == 7
    threads.stop()


async def test_a_storage_that_does_not_answer_is_a_failure_and_what_waited_is_not_done() -> None:
    threads = StorageThreads(1, timeout_s=0.05)
    answers, done = threading.Event(), list[str]()

    with pytest.raises(StorageFailure, match=r"did not answer for 0\.05 s"):
        await threads.run(answers.wait)
    with pytest.raises(StorageFailure, match="did not answer"):
        await threads.run(lambda: done.append("late"))
    answers.set()
    # calls are run in their order: once this one is, the late one had its turn
    threads._timeout_s = 30.0  # noqa: SLF001
    await threads.run(lambda: done.append("in time"))

    assert done == ["in time"]
    threads.stop()
