"""Where ticks lie in sensor time.

Ticks are counted from a begin. Without windows tick k covers ``[begin + k tick_us, begin + (k+1)
tick_us)``. With windows the grid starts anew at each window's begin, so that a window's last tick
may be shorter; ticks are counted on through all windows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TickGrid:
    """A division of sensor time from a begin on.

    Attributes:
        begin_us: Begin of tick 0.
        tick_us: Length of a tick.
        window_us: Length of a window, ``tick_us`` or more; None for a grid without windows.
    """

    begin_us: int
    tick_us: int
    window_us: int | None = None

    @property
    def window_ticks(self) -> int | None:
        """Ticks of a window, a partial last one included; None without windows."""
        return None if self.window_us is None else -(-self.window_us // self.tick_us)

    def n_ended_by(self, time_us: int) -> int:
        """Return how many ticks end at or before a time: the tick that the time lies in."""
        windows_ticks, within = self._split(time_us)
        return windows_ticks + within // self.tick_us

    def n_begun_before(self, time_us: int) -> int:
        """Return how many ticks begin before a time: the first tick that does not."""
        windows_ticks, within = self._split(time_us)
        return windows_ticks - (-within // self.tick_us)

    def _split(self, time_us: int) -> tuple[int, int]:
        """Return the ticks of whole windows before a time, and the time since."""
        since = max(0, time_us - self.begin_us)
        if self.window_us is None or self.window_ticks is None:
            return 0, since
        windows, within = divmod(since, self.window_us)
        return windows * self.window_ticks, within
