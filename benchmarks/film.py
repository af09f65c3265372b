"""Make a small GIF of the frames of the live page.

python -m benchmarks.film FRAMES OUTPUT, where FRAMES is a folder of PNGs, each named by the
millisecond in which it was taken.
"""

import sys
from itertools import pairwise
from pathlib import Path

from PIL import Image

WIDTH = 760
COLOURS = 128
LAST_FRAME_MS = 2000


def main() -> int:
    """Write the GIF; return the exit status."""
    folder, output = map(Path, sys.argv[1:])
    paths = sorted(folder.glob("*.png"))
    if not paths:
        sys.stderr.write(f"{folder} has no *.png; expected the frames of tests/page/film.mjs\n")
        return 2
    frames = [_small(path) for path in paths]
    times_ms = [int(path.stem) for path in paths]
    durations_ms = [after - at for at, after in pairwise(times_ms)] + [LAST_FRAME_MS]
    # one palette for all, so that what stands still is the same in every frame and costs nothing
    # by coverage: a colour that few pixels have, such as a layer's, is one of them too
    palette = frames[-1].quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    first, *rest = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    first.save(
        output, save_all=True, append_images=rest, duration=durations_ms, loop=0, optimize=True
    )
    seconds = sum(durations_ms) / 1000
    sys.stdout.write(f"frames={len(frames)} seconds={seconds:.0f} bytes={output.stat().st_size}\n")
    return 0


def _small(path: Path) -> Image.Image:
    with Image.open(path) as image:
        height = round(image.height * WIDTH / image.width)
        return image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(main())
