"""The ``open`` of a small network, as a client would write it."""

import json

from service.wire_protocol import Open, decode_client_text

CLASSES = ["zero", "one", "two"]


def open_request(**fields: object) -> Open:
    """Read an ``open`` with other or more fields than the small one; ``None`` leaves one out."""
    message: dict[str, object] = {
        "type": "open",
        "session": "s",
        "network": {"hidden": [4, 3], "classes": CLASSES},
        "sensor": {"kind": "raw", "addresses": 5},
    } | fields
    written = {name: value for name, value in message.items() if value is not None}
    request = decode_client_text(json.dumps(written))
    assert isinstance(request, Open)
    return request
