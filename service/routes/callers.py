"""Who sent a request, for the routes that ask."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.access.principals import Principal


async def caller(connection: HTTPConnection) -> Principal:
    """Return whom a request or a handshake comes from, as `Access` found out."""
    principal: Principal = connection.state.principal
    return principal


Caller = Annotated[Principal, Depends(caller)]
"""A parameter of a route: whom the request comes from."""
