"""Runs every benchmark, then lists the goals that were missed.

    python benchmarks [SCRIPT ...]

Each script writes its JSON, and a log of what it printed, into runs/bench. Missed goals are the
lines that begin with MISSED; a script that fails without such a line counts with its last line.
Exits with 1 at the end if there is any.
"""

import argparse
import subprocess
import sys
from pathlib import Path

OUTPUT = Path("runs/bench")
_MISSED = "MISSED"


def run(script: Path) -> list[str]:
    """What one script missed, after all of it was shown as it came."""
    print(f"== {script}", flush=True)
    command = [sys.executable, str(script), "--json", str(OUTPUT / f"{script.stem}.json")]
    lines: list[str] = []
    with (
        (OUTPUT / f"{script.stem}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
            lines.append(line.strip())
    missed = [line for line in lines if line.startswith(_MISSED)]
    if process.returncode and not missed:
        last = next((line for line in reversed(lines) if line), "it printed nothing")
        missed = [f"{_MISSED} it ended with {process.returncode}: {last}"]
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="*", type=Path, metavar="SCRIPT")
    here = Path(__file__)
    every = sorted(path for path in here.parent.glob("*.py") if path.name != here.name)
    scripts = parser.parse_args().scripts or every
    OUTPUT.mkdir(parents=True, exist_ok=True)
    missed = {script: run(script) for script in scripts}
    n_met = sum(not lines for lines in missed.values())
    print(f"== {n_met} of {len(missed)} benchmarks met their goals", flush=True)
    for script, lines in missed.items():
        for line in lines:
            print(f"{script.name}: {line}")
    sys.exit(n_met < len(missed))


if __name__ == "__main__":
    main()
