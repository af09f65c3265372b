"""Every setting of the server, from the environment (``TCLIF_…``) and the command line.

One class a room; a room receives its own class and sees no other. Illegal values and unknown names
are refused at the start.
"""

import os
from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.settings.observation import TelemetrySettings, TracingSettings
from service.settings.peers import AccessSettings, ListenerSettings, QuotaSettings, SocketSettings
from service.settings.sessions import AdmissionSettings, EngineSettings, SessionSettings
from service.settings.storage import StorageSettings

__all__ = [
    "AccessSettings",
    "AdmissionSettings",
    "EngineSettings",
    "ListenerSettings",
    "QuotaSettings",
    "SessionSettings",
    "Settings",
    "SocketSettings",
    "StorageSettings",
    "TelemetrySettings",
    "TracingSettings",
]


class Settings(BaseSettings):
    """All rooms' settings; ``TCLIF_ENGINE__KERNEL=reference`` sets ``engine.kernel``."""

    model_config = SettingsConfigDict(
        env_prefix="TCLIF_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    listener: ListenerSettings = ListenerSettings()
    access: AccessSettings = AccessSettings()
    quota: QuotaSettings = QuotaSettings()
    socket: SocketSettings = SocketSettings()
    session: SessionSettings = SessionSettings()
    engine: EngineSettings = EngineSettings()
    admission: AdmissionSettings = AdmissionSettings()
    storage: StorageSettings = StorageSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _every_variable_has_a_room(self) -> Self:
        # within a room unknown names are refused already; a misspelt room would go unnoticed
        rooms = {f"TCLIF_{room}".upper() for room in type(self).model_fields}
        for name in os.environ:
            room, _, _ = name.upper().partition("__")
            if room.startswith("TCLIF_") and room not in rooms:
                raise ValueError(f"{name} is set; expected one of {sorted(rooms)}, then __NAME")
        return self
