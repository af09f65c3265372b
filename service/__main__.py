"""The command ``tclif-serve``: start the server."""

import argparse
import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import ssl
import sys
import threading

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from typing_extensions import override

from service.access.bounded_web_socket import BoundedWebSocket
from service.access.connection_gate import MAX_HEADER_BYTES, gated
from service.access.paced_server import AddressUnavailable, PacedServer, bind
from service.access.token_file import TokensUnreadable
from service.application import create_app
from service.errors import StorageFailure
from service.logs import set_up_logs, socket_log_level
from service.settings import ListenerSettings, Settings, StorageSettings

SHUTDOWN_S = 5
"""Longest that answers in progress keep a server that is told to end."""

_log = logging.getLogger(__name__)


class DrainingServer(PacedServer):
    """Uvicorn, but clients hear a goodbye before their sockets are closed."""

    def __init__(
        self,
        config: uvicorn.Config,
        settings: ListenerSettings,
        app: FastAPI,
        *,
        has_tokens: bool,
    ) -> None:
        super().__init__(config, settings)
        self._app = app
        self._has_tokens = has_tokens

    @override
    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes, on bound sockets or on those that the settings name.

        Raises:
            AddressUnavailable: The port can't be had.
        """
        # before the application starts: whoever lacks a port need not wait for a kernel
        super().run(sockets or bind(self.config.host, self.config.port))

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and read the tokens again at each SIGHUP from now on.

        Without tokens a SIGHUP ends the server, as that of a terminal that is closed should.
        """
        # signals come to the main thread only; a server beside it, in a test, has neither them nor
        # the process to itself
        has_process = threading.current_thread() is threading.main_thread()
        if self._has_tokens and has_process:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._read_tokens_again)
        await super().startup(sockets)
        if has_process:
            # what is there now stays: the collector would stop every thread for a sixth of a second
            # whenever it looks through all of that
            gc.collect()
            gc.freeze()
        scheme = "http" if self.config.ssl is None else "https"
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            at = f"[{host}]" if ":" in host else host
            _log.info("listening on %s://%s:%d (Ctrl+C ends the server)", scheme, at, port)

    def _read_tokens_again(self) -> None:
        service = getattr(self._app.state, "service", None)
        # as long as there is none, the tokens have only just been read
        if service is not None:
            service.reload_tokens()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the service, then shut down."""
        await self._app.state.service.drain()
        await super().shutdown(sockets)


def build_server(settings: Settings, *, log_level: str) -> DrainingServer:
    """Build the server as the command runs it.

    Raises:
        TokensUnreadable: There should be a file of tokens, and it can't be read.
        AddressUnavailable: The port for metrics can't be had.
    """
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.listener.host,
        port=settings.listener.port,
        log_config=None,
        log_level=socket_log_level(log_level),
        access_log=False,
        http=gated(settings.listener),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws=BoundedWebSocket,
        server_header=False,
        ssl_certfile=settings.listener.certificate_file,
        ssl_keyfile=settings.listener.key_file,
        # twice the limit, so that a message just beyond it is answered before the close
        ws_max_size=2 * settings.socket.max_message_bytes,
        ws_ping_interval=settings.socket.ping_interval_s,
        ws_ping_timeout=settings.socket.ping_timeout_s,
        ws_per_message_deflate=False,
        # a reader that does not take the rest of an answer can't hold the server up
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    has_tokens = settings.access.tokens_file is not None
    return DrainingServer(config, settings.listener, app, has_tokens=has_tokens)


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is told to end; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="tclif-serve",
        description="Serve Adaptive TC-LIF networks that learn from spike streams over WebSocket.",
        epilog="Every setting of service/settings/ can be given as TCLIF_SECTION__NAME in the"
        " environment, e.g. TCLIF_ENGINE__KERNEL=reference.",
    )
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port (default 8700; 0: any free one)")
    parser.add_argument(
        "--data",
        metavar="URL",
        help="data folder: a path, or a URL such as s3://bucket/folder"
        " (default ~/.local/state/tclif)",
    )
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning"))
    parser.add_argument(
        "--log-format", default="text", choices=("text", "json"), help="how lines are written"
    )
    options = parser.parse_args(arguments)
    set_up_logs(options.log_level, options.log_format)
    try:
        settings = _settings(options.host, options.port, options.data)
        server = build_server(settings, log_level=options.log_level)
    except ValidationError as error:
        sys.stderr.writelines(f"tclif-serve: {line}\n" for line in _sentences(error))
        return 2
    except (ValueError, AddressUnavailable, TokensUnreadable, StorageFailure) as error:
        sys.stderr.write(f"tclif-serve: {error}\n")
        return 2
    try:
        server.run()
    except AddressUnavailable as error:
        sys.stderr.write(f"tclif-serve: {error}\n")
        return 2
    return 0


def _sentences(error: ValidationError) -> list[str]:
    """Say of each bad setting what came and what was expected."""
    return [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}, {fault['input']!r} came"
        for fault in error.errors()
    ]


def _settings(host: str | None, port: int | None, data: str | None = None) -> Settings:
    """Read the environment, then the command line; without tokens only loopback will do."""
    asked = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = Settings()
    listener = ListenerSettings.model_validate(settings.listener.model_dump() | asked)
    if settings.access.tokens_file is None and not _is_loopback(listener.host):
        raise ValueError(
            f"host {listener.host!r} came without tokens; expected a loopback address, or"
            " TCLIF_ACCESS__TOKENS_FILE with a file that `tclif-admin token new` made"
        )
    _check_certificate(listener)
    asked_storage = {} if data is None else {"url": data}
    storage = StorageSettings.model_validate(settings.storage.model_dump() | asked_storage)
    return settings.model_copy(update={"listener": listener, "storage": storage})


def _check_certificate(listener: ListenerSettings) -> None:
    """Refuse a certificate or a key that can't serve, before anything is started."""
    if listener.certificate_file is None or listener.key_file is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            listener.certificate_file, listener.key_file, password=_refuse_passphrase
        )
    except OSError as error:
        # ssl.SSLError is an OSError too
        raise ValueError(
            f"certificate_file {str(listener.certificate_file)!r} and key_file"
            f" {str(listener.key_file)!r} came ({error.strerror or error}); expected two PEM files"
            " that belong together"
        ) from error


def _refuse_passphrase() -> str:
    raise ValueError("key_file: a key with a passphrase came; expected one without")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
