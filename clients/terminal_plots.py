"""Plots made of characters: rasters, bars and curves. Numbers in, lines of text out; no colour."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SHADES = " ░▒▓█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_BRAILLE = 0x2800
# bit of each dot of a braille character, [row from the top, column]
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def raster_levels(
    times_us: npt.NDArray[np.int64],
    addresses: npt.NDArray[np.uint32],
    *,
    duration_us: int,
    n_channels: int,
    rows: int,
    columns: int,
) -> npt.NDArray[np.int64]:
    """Fold events into a grid of densities.

    Args:
        times_us: Event times ``[n]``, 0 <= time < ``duration_us``.
        addresses: Channel of each event ``[n]``, below ``n_channels``.
        duration_us: Time that the columns span.
        n_channels: Channels that the rows span, the first one at the bottom.
        rows: Rows of the grid.
        columns: Columns of the grid.

    Returns:
        Levels ``[rows, columns]``, indices into ``SHADES``: the highest where more happened than in
        19 of 20 places that saw any event, 0 where less than an eighth of that did.
    """
    row = rows - 1 - addresses.astype(np.int64) * rows // n_channels
    column = times_us * columns // duration_us
    counts = np.bincount(row * columns + column, minlength=rows * columns)
    counts = counts.reshape(rows, columns)
    if not times_us.size:
        return counts
    full = max(1.0, float(np.percentile(counts[counts > 0], 95)))
    highest = len(SHADES) - 1
    return np.minimum(np.rint(counts / full * highest).astype(np.int64), highest)


def bar(fraction: float, columns: int) -> str:
    """Draw a horizontal bar, exact to an eighth of a character and padded to its columns."""
    eighths = round(min(1.0, max(0.0, fraction)) * columns * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(columns)


def curve(values: Sequence[float], *, rows: int, columns: int) -> list[str]:
    """Draw values between 0 and 1 as a line of braille dots, the newest at the right edge.

    Values are spread over all columns; where several share a column the last one counts. Fewer
    than two values give an empty plot.
    """
    cells = np.zeros((rows, columns), dtype=np.int64)
    if len(values) > 1:
        index = np.linspace(0, len(values) - 1, columns * 2).astype(np.int64)
        height = np.clip(np.asarray(values, dtype=np.float64)[index], 0, 1) * (rows * 4 - 1)
        dots = rows * 4 - 1 - np.rint(height).astype(np.int64)
        for x, (before, here) in enumerate(zip(np.roll(dots, 1), dots, strict=True)):
            # from the height of the dot before, so that a jump is a line and not a gap
            begin, end = (here, here) if x == 0 else (min(before, here), max(before, here))
            for y in range(begin, end + 1):
                cells[y // 4, x // 2] |= _DOTS[y % 4, x % 2]
    return ["".join(chr(_BRAILLE + int(bits)) if bits else " " for bits in line) for line in cells]
