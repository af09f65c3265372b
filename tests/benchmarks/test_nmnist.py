from benchmarks.nmnist import written_of


def test_of_a_curve_every_twentieth_point_is_written() -> None:
    curve = [[n, n / 50] for n in range(1, 51)]

    written = written_of({"passes": ["one"], "curve": curve, "test": None})

    assert written == {"passes": ["one"], "curve": [[20, 0.4], [40, 0.8]]}
