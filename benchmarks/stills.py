"""Make pictures of the page small enough for the documents.

python -m benchmarks.stills FROM TO NAME...: each NAME.png of the folder FROM goes to TO, in fewer
colours.
"""

import sys
from pathlib import Path

from PIL import Image

COLOURS = 128


def main() -> int:
    """Write the pictures; return the exit status."""
    origin, target = map(Path, sys.argv[1:3])
    for name in sys.argv[3:]:
        path = origin / f"{name}.png"
        if not path.is_file():
            sys.stderr.write(f"there is no {path}; expected the pictures of make test-page\n")
            return 2
        with Image.open(path) as image:
            # by coverage: a colour that few pixels have, such as a layer's, is one of them too
            few = image.convert("RGB").quantize(
                COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        few.save(target / path.name, optimize=True)
        sys.stdout.write(f"{path.name} {(target / path.name).stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
