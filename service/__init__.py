"""The service: sessions of spiking networks that learn while in use, behind a WebSocket."""

from importlib.metadata import version

VERSION = version("tclif")
