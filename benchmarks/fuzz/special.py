"""Paths behind which there is no plain file."""

import os
import random
from pathlib import Path

KINDS = ("a folder", "a pipe", "a loop of links", "endless zeros", "nothing", "a lost link")


def put(rng: random.Random, path: Path) -> str:
    """Puts something at a path, and tells what."""
    kind = rng.choice(KINDS)
    match kind:
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a loop of links":
            path.symlink_to(path.name)
        case "endless zeros":
            path.symlink_to("/dev/zero")
        case "a lost link":
            path.symlink_to("nowhere")
    return kind
