"""Seconds until the package is imported and the help is shown, beside an empty interpreter."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python": ["-c", "pass"],
    "import_tailorbird": ["-c", "import tailorbird"],
    "help": ["-m", "tailorbird", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(8):  # interleaved; the first round warms the disk
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    result = {f"{name}_s": statistics.median(taken[1:]) for name, taken in seconds.items()}
    for name, value in result.items():
        print(f"{name:<22} {value:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
