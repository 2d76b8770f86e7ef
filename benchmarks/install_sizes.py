"""Disk and seconds that each way of installing takes, beside what the README says of the disk.

Baseline: an empty virtual environment. Seconds include downloads, if any. Exits with 1 if one takes
more than a tenth more or less than the README says, or if the light one needs torch or TVM.
"""

import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts import command_line, write_result

HERE = Path(__file__).resolve().parents[1]
EXTRAS = ("", "training", "tvm", "all")
MOST_APART = 0.1
LIGHT = "from importlib.util import find_spec; print(*map(find_spec, ('torch', 'tvm')))"


def gigabytes(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_blocks * 512 for path in files) / 1e9


def told(what: str) -> float:
    """Gigabytes in the README's row of `pip install WHAT`."""
    row = re.compile(rf"^\| `pip install {re.escape(what)}` .*\| ([\d.]+) GB", re.MULTILINE)
    found = row.search((HERE / "README.md").read_text(encoding="utf-8"))
    assert found is not None, what
    return float(found[1])


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    result: dict[str, object] = {}
    missed = []
    print(f"{'':<22}{'GB':>6}{'README':>8}{'seconds':>9}   goal within {MOST_APART:.0%}")
    for extra in EXTRAS:
        what = f"'.[{extra}]'" if extra else "."
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            python, empty = Path(folder) / "bin" / "python", gigabytes(Path(folder))
            start = time.perf_counter()
            install = f"-m pip install --quiet --constraint constraints.txt {what}"
            subprocess.run([python, *shlex.split(install)], cwd=HERE, check=True)
            seconds, size = time.perf_counter() - start, gigabytes(Path(folder))
            if not extra:
                found = subprocess.run([python, "-c", LIGHT], capture_output=True, check=True)
                if found.stdout.split() != [b"None", b"None"]:
                    missed.append("the light one brings torch or TVM")
        row = {"gigabytes": size, "empty_gigabytes": empty, "readme": told(what)}
        result[extra or "light"] = {**row, "seconds": seconds}
        print(f"pip install {what:<10}{size:6.2f}{told(what):8.1f}{seconds:9.0f}", flush=True)
        if abs(size / told(what) - 1) > MOST_APART:
            missed.append(f"pip install {what}: {size:.2f} GB, the README says {told(what):g}")
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    write_result(arguments.json, {**result, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
