"""A sensor's clock on the stream's: when events happened, and what time it is while nothing comes.

An event that came without a time happened when it came. A time in microseconds, of which 32 bits
count, is moved by a constant, so that what lies between two events stays as the sensor saw it:

    time = stamp + shift                                                   (1)
    now  = time of the newest event + what our clock has gone since        (2)

(2) starts anew with every datagram whose newest event is newer, so that two clocks that run apart
do not matter while events come. Where (1) is further from (2) than a datagram may be under way,
after a long silence or a restart of the sensor, the shift is chosen anew: the newest event happened
now.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from clients.event_camera.datagrams import NO_STAMP

_PERIOD: Final = 1 << 32


class ArrivalClock:
    """Places events in a stream that begins with 0; times are in microseconds.

    Attributes:
        n_leaps: How often a stamp was too far from the time of its arrival.
    """

    def __init__(self, leap_us: int) -> None:
        """Begin at 0.

        Args:
            leap_us: Difference between the two clocks that is more than a delay.
        """
        self.n_leaps = 0
        self._leap_us = leap_us
        # the newest time of (1) or (2), and our clock then
        self._newest_us = 0
        self._newest_at_us = 0
        # the sensor's last stamp without overflow, and the shift of (1)
        self._stamp: int | None = None
        self._shift_us = 0

    def now(self, at_us: int) -> int:
        """Tell the stream's time, eq. (2).

        Args:
            at_us: Our clock, from the stream's begin.
        """
        return self._newest_us + at_us - self._newest_at_us

    def place(self, stamps: npt.NDArray[np.int64], at_us: int) -> npt.NDArray[np.int64]:
        """Return the times ``[n]`` of events that come together.

        Args:
            stamps: The sensor's clock ``[n]``, n above 0, `NO_STAMP` where it says nothing.
            at_us: Our clock when they came, from the stream's begin.
        """
        now_us = self.now(at_us)
        is_stamped = stamps != NO_STAMP
        times_us = np.full(len(stamps), now_us, np.int64)
        if is_stamped.any():
            unwrapped = self._unwrapped(stamps[is_stamped])
            newest_us = int(unwrapped.max()) + self._shift_us
            if self._stamp is None or abs(newest_us - now_us) > self._leap_us:
                self.n_leaps += self._stamp is not None
                self._shift_us += now_us - newest_us
            self._stamp = int(unwrapped.max())
            times_us[is_stamped] = unwrapped + self._shift_us
        newest_us = int(times_us.max())
        if newest_us > self._newest_us:
            self._newest_us, self._newest_at_us = newest_us, at_us
        return times_us

    def _unwrapped(self, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Undo the overflow of 32 bits: each stamp is the nearest to the last one before."""
        last = int(stamps[0]) if self._stamp is None else self._stamp
        half = _PERIOD // 2
        steps: npt.NDArray[np.int64] = (stamps - last + half) % _PERIOD - half
        return last + steps
