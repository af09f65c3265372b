import numpy as np
import numpy.typing as npt
import pytest
from typing_extensions import override

from clients.recordings import CochleaSensor, Recording, Source


def recording(
    times_us: list[int],
    addresses: list[int],
    *,
    duration_us: int = 1_000,
    dtype: npt.DTypeLike = np.int64,
) -> Recording:
    return Recording(
        times_us=np.array(times_us, dtype=dtype),
        addresses=np.array(addresses, dtype=np.uint32),
        label=1,
        label_name="one",
        duration_us=duration_us,
        speaker=None,
        key="k",
    )


class CountingSource(Source):
    """Ten recordings, told apart by their labels; counts how often each is loaded."""

    def __init__(self) -> None:
        super().__init__("counting", CochleaSensor(4), [str(i) for i in range(10)])
        self.loaded: list[int] = []

    @override
    def __len__(self) -> int:
        return 10

    @override
    def load(self, index: int) -> Recording:
        self.check_index(index)
        self.loaded.append(index)
        nothing = np.empty(0, np.int64)
        return Recording(nothing, nothing.astype(np.uint32), index, str(index), 1, None, str(index))


def test_a_recording_keeps_what_it_is_given() -> None:
    given = recording([0, 5, 5, 999], [3, 1, 0, 2])

    assert given.times_us.tolist() == [0, 5, 5, 999]
    assert given.addresses.tolist() == [3, 1, 0, 2]


@pytest.mark.parametrize(
    ("times_us", "addresses"),
    [([5, 4], [0, 0]), ([-1, 4], [0, 0]), ([4, 1_000], [0, 0])],
    ids=["falling", "before the start", "at the end"],
)
def test_times_that_do_not_rise_within_the_duration_are_refused(
    times_us: list[int], addresses: list[int]
) -> None:
    with pytest.raises(ValueError, match="recording k: event times should rise within 0 to 1000"):
        recording(times_us, addresses)


def test_times_and_addresses_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="vectors of equal length"):
        recording([1, 2], [0])


def test_times_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match=r"int32 .* should be int64"):
        recording([1], [0], dtype=np.int32)


def test_without_a_seed_the_order_is_that_of_the_source() -> None:
    assert [r.label for r in CountingSource().recordings()] == list(range(10))
    assert [r.label for r in CountingSource()] == list(range(10))


def test_a_seed_gives_one_shuffled_order_of_everything() -> None:
    first, again, other = ([r.label for r in CountingSource().recordings(s)] for s in (3, 3, 4))

    assert sorted(first) == list(range(10))
    assert first == again
    assert first != other


def test_a_pass_number_beside_the_seed_gives_a_fresh_order() -> None:
    source = CountingSource()

    first, second = ([r.label for r in source.recordings((3, k))] for k in range(2))

    assert first != second


def test_recordings_are_loaded_when_their_turn_comes() -> None:
    source = CountingSource()
    recordings = source.recordings()

    next(recordings)
    next(recordings)

    assert source.loaded == [0, 1]


@pytest.mark.parametrize("index", [-1, 10])
def test_a_number_that_no_recording_has_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"counting: recording {index} of 0 to 9"):
        CountingSource().load(index)
