import numpy as np
import pytest

from clients.event_camera.camera_events import CameraEvents
from clients.event_camera.field_of_view import FieldOfView
from clients.recordings import EventCamera

# four events of a camera of 5 x 4 pixels: off at (0, 0), on at (4, 3), on at (1, 2), off at (2, 2)
EVENTS = CameraEvents(
    times_us=np.array([0, 10, 20, 31], np.int64),
    x=np.array([0, 4, 1, 2], np.uint16),
    y=np.array([0, 3, 2, 2], np.uint16),
    polarity=np.array([0, 1, 1, 0], np.uint8),
)
SIZE = (5, 4)


def test_addresses_count_polarity_then_row_then_column() -> None:
    view = FieldOfView(size=SIZE)

    times_us, addresses = view.addresses(EVENTS)

    assert view.camera == EventCamera(width=5, height=4, polarities=2)
    # (1 * 4 + 3) * 5 + 4 = 39, (1 * 4 + 2) * 5 + 1 = 31, (0 * 4 + 2) * 5 + 2 = 12
    assert addresses.tolist() == [0, 39, 31, 12]
    assert times_us.tolist() == [0, 10, 20, 31]


def test_pooling_rounds_sizes_up() -> None:
    view = FieldOfView(size=SIZE, pool=2)

    addresses = view.addresses(EVENTS)[1]

    assert view.camera == EventCamera(width=3, height=2, polarities=2)
    # (1 * 2 + 1) * 3 + 2 = 11, (1 * 2 + 1) * 3 + 0 = 9, (0 * 2 + 1) * 3 + 1 = 4
    assert addresses.tolist() == [0, 11, 9, 4]


def test_a_region_is_cut_out_and_counted_from_its_corner() -> None:
    view = FieldOfView(size=SIZE, region=(1, 2, 2, 2))

    times_us, addresses = view.addresses(EVENTS)

    assert view.camera == EventCamera(width=2, height=2, polarities=2)
    # on at (0, 0) of the region: (1 * 2 + 0) * 2; off at (1, 0)
    assert addresses.tolist() == [4, 1]
    assert times_us.tolist() == [20, 31]


@pytest.mark.parametrize(
    ("polarity", "expected"), [("merged", [0, 19, 11, 12]), ("on", [19, 11]), ("off", [0, 12])]
)
def test_polarities_are_merged_or_chosen(polarity: str, expected: list[int]) -> None:
    view = FieldOfView(size=SIZE, polarity=polarity)  # type: ignore[arg-type]

    assert view.camera.polarities == 1
    assert view.addresses(EVENTS)[1].tolist() == expected


def test_times_are_scaled() -> None:
    assert FieldOfView(size=SIZE, time_scale=0.5).addresses(EVENTS)[0].tolist() == [0, 5, 10, 16]


def test_events_outside_of_the_picture_are_left_out() -> None:
    assert FieldOfView(size=(2, 3)).addresses(EVENTS)[1].tolist() == [0, 11]


@pytest.mark.parametrize("region", [(0, 0, 6, 1), (-1, 0, 2, 2), (0, 4, 1, 1), (0, 0, 0, 1)])
def test_a_region_outside_of_the_picture_is_refused(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="within 5x4 was expected"):
        FieldOfView(size=SIZE, region=region)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="a number above 0"):
        FieldOfView(size=SIZE, time_scale=scale)


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="pool is 0"):
        FieldOfView(size=SIZE, pool=0)
