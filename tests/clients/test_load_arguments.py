import pytest

from clients.load_arguments import parse


def test_labels_come_with_the_frame_that_ends_after_their_delay() -> None:
    # frames end 40, 80, 120, ... ms after the segment's end; the first of them is frame 0
    assert parse([]).label_frames == (4, 22)
    assert parse(["--label-delay-ms", "40,40"]).label_frames == (0, 0)
    assert parse(["--label-delay-ms", "41,1000"]).label_frames == (1, 24)


@pytest.mark.parametrize(
    "options",
    [
        ["--sessions", "0"],
        ["--seconds", "0"],
        ["--seconds", "inf"],
        ["--opens-per-s", "x"],
        ["--label-delay-ms", "200"],
        ["--label-delay-ms", "0,100"],
        ["--label-delay-ms", "300,200"],
        ["--label-delay-ms", "300,1001"],
    ],
)
def test_a_value_that_means_nothing_is_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(options)

    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
