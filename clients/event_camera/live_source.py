"""One door to live cameras: what to open, a string says.

    udp://127.0.0.1:3333?layout=spif&size=640x480    datagrams that come to that address and port
    camera:   camera:inivation   camera:prophesee    a camera at this machine

Options as of files of camera events: ``size``, ``roi``, ``pool``, ``polarity``. Of UDP also
``layout`` and ``from``, the IP address of the only sender that counts.
"""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from typing_extensions import Unpack

from clients.event_camera.camera_input import CameraInput, Pace
from clients.event_camera.datagrams import LAYOUTS
from clients.event_camera.field_of_view import FieldOfView
from clients.event_camera.udp_input import UdpInput
from clients.event_camera.vendor_cameras import VendorInput
from clients.event_camera.view_options import take_size, take_view
from clients.source_options import SourceOptions

_UDP: Final = "udp:"
_CAMERA: Final = "camera:"


def is_live(text: str) -> bool:
    """Tell whether a source is a live camera."""
    return text.startswith((_UDP, _CAMERA))


def open_live(text: str, **pace: Unpack[Pace]) -> tuple[CameraInput, FieldOfView]:
    """Open a live camera.

    Args:
        text: One of the forms of this module's docstring.
        pace: As of `CameraInput`.

    Returns:
        The camera, and what of its picture is streamed.

    Raises:
        ValueError: It is none of the forms, or an option is unknown or has no such value.
        NoCamera: There is no such camera, no package for it, or it can't be used.
    """
    name, _, query = text.partition("?")
    options = SourceOptions(name, query)
    size, make_view = take_size(options), take_view(options)
    if name.startswith(_CAMERA):
        options.refuse_others()
        if size is not None:
            raise ValueError(f"{name}: the camera tells its size, none was expected")
        camera: CameraInput = VendorInput(name.removeprefix(_CAMERA) or None, **pace)
    else:
        layout = options.take("layout", _layout, "spif")
        sender = options.take("from", _sender, None)
        options.refuse_others()
        host, port = _address(name)
        if size is None:
            raise ValueError(f"{name}: datagrams do not tell the camera's size: size=WxH is needed")
        camera = UdpInput(host, port, size, layout=layout, sender=sender, **pace)
    try:
        return camera, make_view(camera.size)
    except ValueError:
        camera.close()
        raise


def _address(name: str) -> tuple[str, int]:
    try:
        parts = urlsplit(name)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None:
        raise ValueError(f"{name!r} came, an address like udp://127.0.0.1:3333 was expected")
    return host, port


def _layout(text: str) -> str:
    if text not in LAYOUTS:
        raise ValueError(f"expected {', '.join(LAYOUTS)}")
    return text


def _sender(text: str) -> str | None:
    try:
        # written as the system writes it
        return str(ip_address(text))
    except ValueError as error:
        raise ValueError("expected an IP address, such as 192.168.1.20") from error
