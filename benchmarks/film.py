"""Make a small GIF of the frames of the live page.

python -m benchmarks.film FRAMES OUTPUT, where FRAMES is a folder of PNGs in order of their names.
"""

import sys
from pathlib import Path

from PIL import Image

WIDTH = 760
COLOURS = 96
FRAME_MS = 250


def main() -> int:
    """Write the GIF; return the exit status."""
    folder, output = map(Path, sys.argv[1:])
    frames = [_small(path) for path in sorted(folder.glob("*.png"))]
    if not frames:
        sys.stderr.write(f"{folder} has no *.png; expected the frames of tests/page/film.mjs\n")
        return 2
    # one palette for all, so that what stands still is the same in every frame and costs nothing
    # by coverage: a colour that few pixels have, such as a layer's, is one of them too
    palette = frames[-1].quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    first, *rest = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    first.save(output, save_all=True, append_images=rest, duration=FRAME_MS, loop=0, optimize=True)
    sys.stdout.write(f"frames={len(frames)} bytes={output.stat().st_size}\n")
    return 0


def _small(path: Path) -> Image.Image:
    with Image.open(path) as image:
        height = round(image.height * WIDTH / image.width)
        return image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(main())
