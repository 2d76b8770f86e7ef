"""What came of a case: whether each command ended as it may, and left nothing behind."""

import hashlib
import json
import re
import shlex
import shutil
import sqlite3
import stat
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fuzz.case import Case, Ran
from fuzz.command import run

Verdict = Literal[
    "refused", "accepted", "traceback", "hang", "untidy", "unexplained", "wrongly refused"
]
"""The first two are as it should be.

`untidy` is a refusal without a sentence, or with many, one that leaves files behind or changes a
store, control characters on a terminal, JSON that is not strict, and an exit code of its own.
"""

_Found = tuple[Verdict, str]

MOST_LINES, MOST_CHARACTERS = 12, 4_000
"""Of a refusal. It is one sentence; what does not fit in weights is shown in lines below."""

_PREFIX = "tailorbird: "
_UNFORESEEN = "Nobody foresaw"
_LEFT = re.compile(
    r"runs(/[^/]+(/(run\.log|\.lock|owner|weights(/anchor-\w+\.safetensors)?))?)?"
    r"|(?i:.*\.sqlite-(shm|wal|journal))"
)
"""What a refusal may leave: the folder of the run, its log, the file that holds it, the name of its
evaluations' owner, and weights where training failed; and what SQLite keeps beside a database until
the process ends."""
_EMPTY = "a store that holds nothing"  # is made when a recipe's own is opened
_UNFINISHED = re.compile(r"\.(new|part|tmp)$")
_WARNING = re.compile(r"^.*\.py:\d+: \w*Warning: .*$", re.MULTILINE)
_TEXT = frozenset("\n\t")


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a case.

    Attributes:
        verdict: see `Verdict`.
        said: reason of what was accepted, sentence of what was refused, or what is wrong.
        change: what was done to a right input.
        commands: that were run, as one would write them.
    """

    verdict: Verdict
    said: str
    change: str
    commands: tuple[str, ...]


def commands_of(case: Case) -> tuple[str, ...]:
    """The commands of a case as one would write them."""
    return tuple(shlex.join(("tailorbird", *arguments)) for arguments in case.commands)


def judge(case: Case, folder: Path) -> Judged:
    """Runs the commands of a case, whose files are in a folder of its own.

    Temporary files lie in `tempfile.gettempdir()`, which nobody else uses.
    """
    ran: list[Ran] = []
    found: _Found | None = None
    for arguments in case.commands:
        before = _state(folder)
        one = run(arguments, folder, case.environment)
        ran.append(one)
        fault = _fault(one)
        found = found or fault or _left_behind(one, before, _state(folder))
        _cleared()
    verdict, said = found or _outcome(case, ran, [one for one in ran if one.code != 0])
    return Judged(verdict, said, case.change, commands_of(case))


def _outcome(case: Case, ran: Sequence[Ran], refused: Sequence[Ran]) -> _Found:
    """Of commands that ended as they may."""
    if case.is_right and refused:
        return "wrongly refused", refused[0].err.strip()
    if len(refused) < len(ran):
        return _explained(case, ran)
    return "refused", refused[0].err.strip()


def _explained(case: Case, ran: Sequence[Ran]) -> _Found:
    try:
        reason = case.reason(ran)
    except AssertionError as error:
        return "unexplained", str(error)
    return ("accepted", reason) if reason else ("unexplained", "no reason is known")


def _fault(ran: Ran) -> _Found | None:
    if ran.raised is not None:
        return "traceback", ran.raised
    if _UNFORESEEN in ran.err:
        return "traceback", _kept(ran.err)
    if "Traceback (most recent call last)" in ran.err + ran.out:
        return "traceback", ran.err.strip().splitlines()[-1]
    raw = {c for c in ran.out + ran.err if unicodedata.category(c) in ("Cc", "Cs")} - _TEXT
    if raw:
        return "untidy", f"raw control characters: {sorted(map(ascii, raw))}"
    if warning := _WARNING.search(ran.err):
        return "untidy", re.sub(r"^.*/", "", warning[0])
    if ran.code == 0:
        return _not_strict(ran)
    if ran.code != 2:
        return "untidy", f"exit code {ran.code}: {ran.err.strip()}"
    lines = ran.err.strip().splitlines()
    if not lines or not any(line.startswith(_PREFIX) for line in lines):
        return "untidy", f"no sentence, but {ran.err!r}"
    if len(lines) > MOST_LINES or len(ran.err) > MOST_CHARACTERS:
        return "untidy", f"{len(lines)} lines, {len(ran.err)} characters: {ran.err[:200]!r}"
    return None


def _kept(err: str) -> str:
    """Error and innermost place of ours, from the log of an error that nobody foresaw."""
    path = re.search(r"Its traceback is in (\S+\.log)", err)
    text = Path(path[1]).read_text(encoding="utf-8", errors="replace") if path else err
    places = re.findall(r'File "[^"]*/tailorbird/([^"]+)", line (\d+)', text)
    where = ":".join(places[-1]) if places else "?"
    last = text.strip().splitlines()[-1]
    return f"{where} {last[:200]}"


def _not_strict(ran: Ran) -> _Found | None:
    if "--json" not in ran.arguments:
        return None

    def refused(constant: str) -> None:
        raise ValueError(f"it holds {constant}")

    try:
        json.loads(ran.out, parse_constant=refused)
    except ValueError as error:
        return "untidy", f"JSON that is not strict: {error}"
    return None


def _left_behind(ran: Ran, before: Mapping[str, str], after: Mapping[str, str]) -> _Found | None:
    if temporary := _temporary():
        return "untidy", f"left in the folder of temporary files: {temporary[0].name}"
    if lost := [name for name in before if name not in after and not _LEFT.fullmatch(name)]:
        return "untidy", f"removed: {lost[0]}"
    if unfinished := [name for name in after if _UNFINISHED.search(name)]:
        return "untidy", f"left behind: {unfinished[0]}"
    if ran.code == 0:
        return None
    new = (name for name in sorted(after.keys() - before.keys()) if after[name] != _EMPTY)
    if left := [name for name in new if not _LEFT.fullmatch(name)]:
        return "untidy", f"left behind by a refusal: {', '.join(left)}"
    same = (name for name in before if before[name] != after[name] and not _LEFT.fullmatch(name))
    if changed := next(same, None):
        return "untidy", f"changed by a refusal: {changed}"
    return None


def _temporary() -> list[Path]:
    """Temporary files, except the folder that torch makes when it is imported."""
    every = Path(tempfile.gettempdir()).iterdir()
    return [path for path in every if not path.name.startswith("torchinductor_")]


def _cleared() -> None:
    for path in _temporary():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _state(folder: Path) -> dict[str, str]:
    """Content of everything in a folder, by path; of databases, what they hold."""
    found = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        said = stat.filemode(mode)[0]
        if stat.S_ISREG(mode):
            said = _held(path) or hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(folder).as_posix()] = said
    return found


def _held(path: Path) -> str | None:
    if path.suffix.lower() != ".sqlite":
        return None
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            dumped = [*connection.iterdump()]
    except sqlite3.Error:
        return None
    if not any(line.startswith('INSERT INTO "sample"') for line in dumped):
        return _EMPTY
    return hashlib.sha256("\n".join(dumped).encode()).hexdigest()
