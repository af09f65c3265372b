"""Why a client's stream can end other than by its own wish.

ClientError
    ClientClosed        the application closed it, or has not opened it yet
    ServerUnreachable   no server answers, or what answers does not speak the protocol
    SessionRefused      the server refused something, and trying again won't mend it
    TakenOver           another connection of the same principal has the session now
    SessionLost         the session is not the one that was opened, or misses messages

MessageRefused          one message is refused as a whole; the session goes on
"""


class ClientError(Exception):
    """The stream is over; the text says why in one sentence."""


class ClientClosed(ClientError):
    """The application closed the client, or has not opened it yet."""


class ServerUnreachable(ClientError):
    """No server answers at the address, or it does not speak this protocol."""


class SessionRefused(ClientError):
    """The server refused the session or a message of it.

    Attributes:
        code: The wire protocol's name of the error.
        close_code: With what the connection was closed.
    """

    def __init__(self, code: str, message: str, *, close_code: int) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.close_code = close_code


class TakenOver(ClientError):
    """Another connection opened the same session; this one ends and does not come back."""


class SessionLost(ClientError):
    """The server has another session under this name, or needs messages that are gone."""


class MessageRefused(Exception):
    """The server refused a message that the application waited for; nothing else changed.

    Attributes:
        code: The wire protocol's name of the error.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
