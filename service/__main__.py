"""The command ``tclif-serve``: start the server on this machine's loopback."""

import argparse
import ipaddress
import logging
import socket
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from typing_extensions import override

from service.application import create_app
from service.connection_gate import MAX_HEADER_BYTES, BoundedWebSocket, gated
from service.settings import Settings


class DrainingServer(uvicorn.Server):
    """Uvicorn, but clients hear a goodbye before their sockets are closed."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the service, then shut down."""
        await self._app.state.service.drain()
        await super().shutdown(sockets)


def build_server(settings: Settings, *, log_level: str) -> DrainingServer:
    """Build the server as the command runs it."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.listener.host,
        port=settings.listener.port,
        log_level=log_level,
        access_log=False,
        http=gated(settings.listener),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws=BoundedWebSocket,
        # twice the limit, so that a message just beyond it is answered before the close
        ws_max_size=2 * settings.socket.max_message_bytes,
        ws_ping_interval=settings.socket.ping_interval_s,
        ws_ping_timeout=settings.socket.ping_timeout_s,
        ws_per_message_deflate=False,
    )
    return DrainingServer(config, app)


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is told to end; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="tclif-serve",
        description="Serve Adaptive TC-LIF networks that learn from spike streams over WebSocket.",
        epilog="Every setting of service/settings.py can be given as TCLIF_SECTION__NAME in the"
        " environment, e.g. TCLIF_ENGINE__KERNEL=reference.",
    )
    parser.add_argument("--host", help="loopback address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port (default 8700; 0: any free one)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning"))
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options.host, options.port)
    except ValidationError as error:
        sys.stderr.writelines(f"tclif-serve: {line}\n" for line in _sentences(error))
        return 2
    except ValueError as error:
        sys.stderr.write(f"tclif-serve: {error}\n")
        return 2
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(levelname)s %(name)s [%(session)s]: %(message)s",
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(_name_session)
    build_server(settings, log_level=options.log_level).run()
    return 0


def _sentences(error: ValidationError) -> list[str]:
    """Say of each bad setting what came and what was expected."""
    return [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}, {fault['input']!r} came"
        for fault in error.errors()
    ]


def _name_session(record: logging.LogRecord) -> bool:
    """Let every line say which session it is about, or none."""
    if not hasattr(record, "session"):
        record.session = "-"
    return True


def _settings(host: str | None, port: int | None) -> Settings:
    """Read the environment, then the command line; refuse addresses beyond loopback."""
    asked = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = Settings()
    listener = type(settings.listener).model_validate(settings.listener.model_dump() | asked)
    if not _is_loopback(listener.host):
        raise ValueError(
            f"host {listener.host!r} came; expected a loopback address, because this version has"
            " no credentials"
        )
    return settings.model_copy(update={"listener": listener})


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
