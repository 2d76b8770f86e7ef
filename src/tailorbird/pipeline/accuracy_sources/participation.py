"""Evaluations that a run elsewhere waits for, done here."""

import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from tailorbird.errors import MissingStepError
from tailorbird.pipeline.database import RunDatabase
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.search.evaluation.executors import Executor
from tailorbird.search.evaluation.study import Study, is_there
from tailorbird.spaces import SearchSpace

_LOOKED_EVERY_S = 0.25
_SPLITS = ("validation", "test")


class Participant(Protocol):
    """What evaluates networks of a recipe, whoever asks for it."""

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""

    @property
    def folder(self) -> Path:
        """Folder of the run."""

    @property
    def space(self) -> SearchSpace:
        """The space."""

    @property
    def measure(self) -> str:
        """What the values are."""

    def study_name(self, split: str) -> str:
        """Name of the study of a split."""

    def executor(self, split: str) -> Executor:
        """Runs the evaluator of a split."""


@dataclass(frozen=True, slots=True)
class Participation:
    """What became of taking part.

    Attributes:
        n_evaluated: networks that were evaluated here.
        n_failed: those that failed here, and are left to whoever asked.
        is_complete: true if whoever asked has ended, false if nobody asked for too long.
    """

    n_evaluated: int
    n_failed: int
    is_complete: bool

    def __str__(self) -> str:
        failed = f", {self.n_failed:,} failed here and are left to others" if self.n_failed else ""
        why = "the study is complete" if self.is_complete else "nothing came for too long"
        return f"{self.n_evaluated:,} networks were evaluated here{failed}: {why}."


def take_part(source: Participant, idle_s: float, progress: Progress) -> Participation:
    """Evaluates what others ask for, who evaluate by the same recipe, until they have ended.

    Raises:
        EvaluationError: if the first networks that were tried all fail here.
        StoreError: if the database fails.
    """
    owner = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    url = RunDatabase(source.recipe.latency.store, source.folder).url
    names: dict[str, str] = {}
    studies: dict[str, tuple[Study, str]] = {}
    n = n_failed = 0
    was_open, last = False, time.monotonic()
    while True:
        names = names or _splits_by_name(source, url)
        for name, split in names.items():
            if name not in studies and is_there(url, name):
                study = Study(url, name, source.space, evaluator=source.measure, owner=owner)
                studies[name] = study, split
        for study, split in studies.values():
            while study.has_free():
                done, failed = study.take_part(source.executor(split), progress)
                n, n_failed, last = n + done, n_failed + failed, time.monotonic()
        is_complete = bool(studies) and all(study.is_complete for study, _ in studies.values())
        was_open |= bool(studies) and not is_complete
        now = time.monotonic()
        if any(study.has_waiting() for study, _ in studies.values()):
            last = now
        elif (is_complete and was_open) or now - last >= idle_s:
            return Participation(n, n_failed, is_complete)
        time.sleep(_LOOKED_EVERY_S)


def _splits_by_name(source: Participant, url: str) -> dict[str, str]:
    """Splits by the names of their studies; nothing until there is a database, and weights."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return {}
    try:
        return {source.study_name(split): split for split in reversed(_SPLITS)}
    except MissingStepError:
        return {}
