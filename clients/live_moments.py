"""Live sensors as moments, and a session's answers to them.

What a microphone's session says, as it is said:

    async for message in answers(client, heard(MicrophoneInput())):
        if message.type == "prediction" and message.final:
            print(message.label)
"""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clients.cochlea import Cochlea
from clients.cochlea_design import SAMPLE_RATE
from clients.event_camera.camera_input import BLOCK_S, CameraInput
from clients.event_camera.field_of_view import FieldOfView
from clients.inbox import StreamMessage
from clients.sdk import StreamingClient
from clients.sound_input import SoundInput
from clients.terminal_plots import bar
from service.wire_protocol import SegmentedBySilence, SegmentedByWindow

PAUSE_US = 1_000_000
"""Sensor time between what a session took in an earlier run and what it takes in this one."""

_METER_COLUMNS = 20

_RATE_BLOCKS = 50
"""Blocks over which the rate of a camera's events is told: half a second."""


class Moment(NamedTuple):
    """What a sensor said since the moment before.

    Attributes:
        times_us: Of each event ``[n]`` in microseconds from the stream's start.
        addresses: Of each event ``[n]``.
        until_us: Nothing before it is to come.
        gauge: How much is going on, drawn for a person.
        trouble: What the sensor has lost, if anything.
    """

    times_us: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.uint32]
    until_us: int
    gauge: str = ""
    trouble: str | None = None


async def heard(sound: SoundInput, cochlea: Cochlea | None = None) -> AsyncIterator[Moment]:
    """Give a moment for each block of sound: its spikes, and how loud it was.

    Args:
        sound: A microphone, or a recording as if it were heard now.
        cochlea: Makes the spikes; None for one of 700 channels.

    Raises:
        NoSound: The microphone can't be used.
    """
    cochlea = cochlea or Cochlea()
    n_samples = 0
    async for block in sound.blocks():
        n_samples += len(block)
        times_us, channels = cochlea.process(block)
        meter = bar(float(np.abs(block).max(initial=0.0)), _METER_COLUMNS)
        yield Moment(
            times_us=times_us,
            addresses=channels,
            until_us=n_samples * 1_000_000 // SAMPLE_RATE,
            gauge=f"|{meter}|",
            trouble=f"{sound.n_lost} blocks of sound were lost" if sound.n_lost else None,
        )


async def seen(camera: CameraInput, view: FieldOfView) -> AsyncIterator[Moment]:
    """Give a moment for each block of a camera's events: what is streamed of it, and the rate.

    Args:
        camera: A live one, such as `open_live` opens.
        view: What of its picture is streamed.

    Raises:
        NoCamera: The camera broke.
    """
    per_s = 0.0
    async for events, until_us in camera.blocks():
        times_us, addresses = view.addresses(events)
        per_s += (len(events) / BLOCK_S - per_s) / _RATE_BLOCKS
        yield Moment(
            times_us=times_us,
            addresses=addresses,
            until_us=until_us,
            gauge=f"{per_s:10,.0f} events/s",
            trouble=str(camera.losses) or None,
        )


def begin_us(client: StreamingClient) -> int:
    """Tell where in a session's time a stream may begin: a pause after an earlier one."""
    return (client.opened.horizon_us or 0) + PAUSE_US


async def send(client: StreamingClient, moments: AsyncIterator[Moment], *, from_us: int) -> None:
    """Send moments as they come, and the silence after the last one that ends its segment.

    Args:
        client: Open, its stream cut by the server.
        moments: What the sensor says.
        from_us: The session's time of the stream's start.
    """
    end_us = from_us
    async for moment in moments:
        if len(moment.times_us):
            await client.send_events(from_us + moment.times_us, moment.addresses)
        end_us = from_us + moment.until_us
        await client.advance_to(end_us)
    await client.advance_to(end_us + _rest_us(client) + client.opened.tick_us)


def _rest_us(client: StreamingClient) -> int:
    match client.segmentation:
        case SegmentedBySilence(gap_us=rest_us) | SegmentedByWindow(length_us=rest_us):
            return rest_us
        case _:
            return 0


async def answers(
    client: StreamingClient, moments: AsyncIterator[Moment]
) -> AsyncIterator[StreamMessage]:
    """Send moments as they come, and give what the server says, until all is answered.

    Args:
        client: Open, its stream cut by the server.
        moments: What the sensor says, for as long as it does.
    """
    sending = asyncio.create_task(_until_read(client, moments))
    try:
        while True:
            hearing = asyncio.create_task(_next(client))
            try:
                await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    sending.result()
                    return
            finally:
                hearing.cancel()
            if (message := hearing.result()) is None:
                return
            yield message
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _until_read(client: StreamingClient, moments: AsyncIterator[Moment]) -> None:
    await send(client, moments, from_us=begin_us(client))
    await client.drain()
    await client.until_read()


async def _next(client: StreamingClient) -> StreamMessage | None:
    async for message in client:
        return message
    return None
