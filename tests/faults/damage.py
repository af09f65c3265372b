"""Files that were damaged on the disk: cut short, with flipped bits, with rubbish behind."""

import random
from pathlib import Path


def snapshots(data: Path) -> list[Path]:
    """Return the snapshots of a data folder's only session, oldest first."""
    return sorted((data / "sessions").glob("*/*.safetensors"))


def damage(file: Path, generator: random.Random) -> str:
    """Damage a file in a way and a place drawn at random; return what was done."""
    contents = bytearray(file.read_bytes())
    place = generator.randrange(len(contents))
    match generator.randrange(4):
        case 0:
            what = f"cut to {place} of {len(contents)} bytes"
            del contents[place:]
        case 1:
            what = f"one bit of byte {place} flipped"
            contents[place] ^= 1 << generator.randrange(8)
        case 2:
            what = f"4 KiB from byte {place} zeroed"
            n_zeroed = len(contents[place : place + 4096])
            contents[place : place + 4096] = bytes(n_zeroed)
            # zeros over zeros would be no damage
            contents[place] ^= 0xFF if not any(file.read_bytes()[place : place + 4096]) else 0
        case _:
            what = "a byte appended"
            contents.append(generator.randrange(256))
    file.write_bytes(contents)
    return what
