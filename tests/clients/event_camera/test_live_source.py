import socket
from contextlib import closing

import pytest

from clients.event_camera.camera_input import NoCamera
from clients.event_camera.field_of_view import FieldOfView
from clients.event_camera.live_source import is_live, open_live
from clients.event_camera.udp_input import UdpInput
from tests.clients.event_camera.played_time import PlayedTime, until


def test_live_cameras_are_told_from_files() -> None:
    assert is_live("udp://127.0.0.1:3333?layout=spif")
    assert is_live("camera:inivation")
    assert not is_live("camera")
    assert not is_live("../udp:/x")


def test_an_address_opens_a_socket_there_and_options_say_what_is_streamed() -> None:
    camera, view = open_live(
        "udp://127.0.0.1:0?layout=t32_x16_y15_on1&size=64x48&pool=4&roi=0,0,32,32"
    )

    with closing(camera):
        assert isinstance(camera, UdpInput)
        assert (camera.address[0], camera.size) == ("127.0.0.1", (64, 48))
        assert view == FieldOfView(size=(64, 48), region=(0, 0, 32, 32), pool=4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("udp://127.0.0.1:0", "size=WxH is needed"),
        ("udp://127.0.0.1?size=4x4", "an address like udp://127.0.0.1:3333 was expected"),
        ("udp:3333?size=4x4", "an address like"),
        ("udp://127.0.0.1:99999?size=4x4", "an address like"),
        ("udp://127.0.0.1:0?size=4x4&layout=evt3", "layout can't be 'evt3': expected spif, t32"),
        ("udp://127.0.0.1:0?size=4x4&from=davis.local", "'davis.local': expected an IP address"),
        ("udp://127.0.0.1:0?size=4x4&time_scale=2", "has no option time_scale; known are size"),
        ("udp://127.0.0.1:0?size=4x4&roi=0,0,5,5", "one within 4x4 was expected"),
        ("camera:?size=4x4", "the camera tells its size"),
        ("camera:?layout=spif", "has no option layout"),
    ],
)
def test_what_can_not_be_opened_is_told_with_what_was_expected(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        open_live(text)


def test_an_unknown_maker_is_refused() -> None:
    with pytest.raises(NoCamera, match="'sony' came, inivation or prophesee was expected"):
        open_live("camera:sony")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_a_sender_may_be_written_in_another_way_than_the_system_does() -> None:
    time = PlayedTime()
    text = "udp://[::1]:0?size=4x4&from=0:0:0:0:0:0:0:1"
    camera, _ = open_live(text, clock=time.clock, sleep=time.sleep)
    assert isinstance(camera, UdpInput)
    with closing(camera), closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sender:
        camera.start()
        sender.sendto(b"\x01\x00\x01\x80", camera.address)
        await until(lambda: camera.n_datagrams + camera.losses.foreign == 1)

        assert camera.n_datagrams == 1
