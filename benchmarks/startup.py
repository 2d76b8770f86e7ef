"""Seconds until the package is imported and commands answer, beside an empty interpreter.

With `--beside SRC`, the source folder of another checkout, each command is run by both in turn, and
takes at most 1.1 times as long here.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts import command_line, write_result

COMMANDS = {
    "python": ["-c", "pass"],
    "import_tailorbird": ["-c", "import tailorbird"],
    "help": ["-m", "tailorbird", "--help"],
    "keys": ["-m", "tailorbird", "table", "keys", "recipe.toml"],
    "refusal": ["-m", "tailorbird", "run", "wrong.toml"],
}
REFUSED = 2
"""Exit code of `refusal`, whose recipe names no device that there is."""

RECIPE = 'name = "a"\n[space]\nname = "deit-ti-s-b"\n[accuracy]\npublished = "snnet"\n'
HERE = Path(__file__).resolve().parents[1] / "src"
LARGEST_RATIO = 1.1


def seconds(command: list[str], source: Path, folder: str) -> float:
    environment = os.environ | {"PYTHONPATH": str(source)}
    start = time.perf_counter()
    done = [sys.executable, *command]
    ended = subprocess.run(done, check=False, capture_output=True, cwd=folder, env=environment)
    taken = time.perf_counter() - start
    if ended.returncode != (REFUSED if "wrong.toml" in command else 0):
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr.decode()}")
    return taken


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--beside", type=Path, metavar="SRC")
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    sources = {"here": HERE} | ({"beside": arguments.beside} if arguments.beside else {})
    taken: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "recipe.toml").write_text(RECIPE)
        (Path(folder) / "wrong.toml").write_text(f'{RECIPE}[device]\nname = "nowhere"\n')
        for _ in range(arguments.rounds):  # interleaved; the first round warms the disk
            for name, command in COMMANDS.items():
                for which, source in sources.items():
                    one = seconds(command, source, folder)
                    taken.setdefault((name, which), []).append(one)
    medians = {key: statistics.median(of[1:]) for key, of in taken.items()}
    result: dict[str, float] = {}
    missed = False
    for name in COMMANDS:
        result[f"{name}_s"] = medians[name, "here"]
        line = f"{name:<22} {medians[name, 'here']:.3f}"
        if arguments.beside:
            ratio = medians[name, "here"] / medians[name, "beside"]
            result[f"{name}_beside_s"], result[f"{name}_ratio"] = medians[name, "beside"], ratio
            line += f"  beside {medians[name, 'beside']:.3f}  ratio {ratio:.3f}"
            if ratio > LARGEST_RATIO:
                missed = True
                line += (
                    f"\nMISSED: {name} takes {ratio:.2f} times as long, more than {LARGEST_RATIO}"
                )
        print(line)
    write_result(arguments.json, result)
    sys.exit(missed)


if __name__ == "__main__":
    main()
