"""Who sent a request, for the routes that ask."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.principals import LOCAL, Principal


async def caller(_: HTTPConnection) -> Principal:
    """Return whom a request or a handshake comes from."""
    return LOCAL


Caller = Annotated[Principal, Depends(caller)]
"""A parameter of a route: whom the request comes from."""
