"""Virtual environments with some packages of this one, as links: made in a second, offline."""

import re
import sysconfig
import venv
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def with_requirements(names: Iterable[str]) -> set[str]:
    """Names of packages, and of all that they take here."""
    found: set[str] = set()
    left = [*names]
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for requirement in distribution(name).requires or []:
            wanted, _, condition = requirement.partition(";")
            required = named(wanted)
            if "extra" not in condition and is_here(required):  # others are for another system
                left.append(required)
    return found


def named(requirement: str) -> str:
    """Name of the package that a requirement is of."""
    return re.split(r"[^\w.-]", requirement.strip())[0]


def is_here(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def linked(folder: Path, names: Iterable[str], *more: Path) -> Path:
    """Makes a venv with packages, as they are here; returns its interpreter.

    Args:
        folder: of the venv.
        names: of packages; what they require comes with them.
        more: folders of packages that are not installed.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    for package in more:
        (site / package.name).symlink_to(package)
    for name in with_requirements(names):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(installed.locate_file(top))).resolve())
    return folder / "bin" / "python"
