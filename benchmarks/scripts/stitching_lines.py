"""Stitched networks beside the line of their anchors, each fine-tuned alone for its share."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np

from scripts.seeds import cell, with_interval
from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import KINDS
from tailorbird.spaces.stitching import Family, Pretrained, Rule, StitchSpace
from tailorbird.storage.atomic import written
from tailorbird.training import Dataset, Split, Trained, Training, train
from tailorbird.training.compute import CPU
from tailorbird.training.distillation import labels_only
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.optimization import Optimization
from tailorbird.training.shared.learning import groups_of, identity
from tailorbird.training.shared.network import fresh
from tailorbird.training.shared.stage import Stage
from tailorbird.training.stitching.anchors import place
from tailorbird.training.stitching.klas import choose_places, load_places
from tailorbird.training.updates import Updates
from tailorbird.training.weights.state_dict import digest

BATCH = 50
LEAST = -0.005
"""Goal of mean distances from the line of anchors alone, and of anchors inside."""


def rates_of(anchors: float, stitches: float) -> dict[str, float]:
    """Peak learning rates of anchors' parts and of stitching layers."""
    return dict.fromkeys(KINDS, anchors) | {"stitch": stitches}


@dataclass(frozen=True)
class Piece:
    """A way to train a stitched network, for all epochs of a task.

    Attributes:
        name: of what differs.
        epochs_alone: of each anchor, before all routes learn together in those that are left.
        training: further settings, by name.
        rule: which stitches there are; the task's if None.
        chooses: true if their places are chosen by what trained anchors answer.
    """

    name: str
    epochs_alone: int
    training: Mapping[str, Any] = field(default_factory=dict)
    rule: Rule | None = None
    chooses: bool = False


@dataclass(frozen=True)
class Task:
    """What anchors and stitches learn, and how long.

    Attributes:
        family: of the anchors.
        rule: which stitches there are.
        dataset: that they learn.
        test: images for figures.
        files: of weights that anchors start from, by anchor; none where they start fresh.
        epochs: of all anchors and of all routes together.
        rates: peaks that are tried for anchors alone.
        batches: batch sizes, likewise; with smaller ones there are as many times more steps.
        folder: for all that is trained.
    """

    family: Family
    rule: Rule
    dataset: Dataset
    test: Split
    files: Mapping[str, Path]
    epochs: int
    rates: Sequence[float]
    folder: Path
    batches: Sequence[int] = (BATCH,)

    @property
    def anchors(self) -> StitchSpace:
        """Space of the anchors alone."""
        return StitchSpace(self.family, self.rule, max_stitches=0)


@dataclass(frozen=True, eq=False)
class Routes:
    """Networks of one training: anchors first, then stitched ones.

    Attributes:
        names: of each.
        pairs: of anchors that a stitched one joins.
        n_macs: of each.
        on_validation: accuracy on the validation images, of each.
        on_test: likewise.
        updates: of each stitching layer.
        seconds: that its last stretch took, after what an interruption kept; NaN if nobody knows.
    """

    names: Sequence[str]
    pairs: Sequence[str]
    n_macs: IntArray
    on_validation: FloatArray
    on_test: FloatArray
    updates: Sequence[int]
    seconds: float

    @property
    def n_anchors(self) -> int:
        """Number of anchors among them."""
        return len(self.names) - len(self.pairs)

    def above(self, accuracy: FloatArray, line: FloatArray) -> FloatArray:
        """Distances (n_stitched,) of accuracies from the line through those of anchors, by MACs."""
        n = self.n_anchors
        return np.asarray(accuracy[n:] - np.interp(self.n_macs[n:], self.n_macs[:n], line))


def alone(task: Task, anchor: int, seed: int) -> tuple[float, float, float]:
    """An anchor fine-tuned alone for its share of all images, at the best of some settings.

    Returns:
        Accuracy on validation images, by which rate and batch size were chosen, on test images,
        and the rate.
    """
    tried = product(task.rates, task.batches)
    return max(_alone(task, anchor, seed, rate, batch) for rate, batch in tried)


def _alone(
    task: Task, anchor: int, seed: int, rate: float, batch: int
) -> tuple[float, float, float]:
    space, name = task.anchors, task.family.anchors[anchor]
    row = space.landmarks[anchor]
    route, n_anchors = space.route(row), len(task.family.anchors)
    # As many epochs as all stages have, with as many times fewer steps as there are anchors.
    schedule = Schedule(task.epochs, batch, seed, n_anchors)
    facts: dict[str, object] = {
        "rate": rate,
        "seed": seed,
        "epochs": task.epochs,
        "anchors": n_anchors,
        "weights": digest(task.files[name], None) if name in task.files else None,
    }
    of = f"{name}-{rate:g}-{seed}"
    if batch != BATCH:
        of, facts["batch"] = f"{of}-{batch}", batch
    stage = Stage(
        task.folder / "alone" / f"{of}.safetensors",
        identity("alone-1", name, task.dataset, batch, facts),
        [str(part) for part in space.parts_of(row)],
    )
    network = fresh(space, seed)
    if not stage.load(network):
        if name in task.files:
            place(network, cast(Pretrained, task.family), anchor, task.files[name])
        what = f"{name} alone, rate {rate:g}, batch {batch}, seed {seed}"
        with TerminalProgress().task(what, task.epochs) as advance:
            fit(
                network,
                groups_of(network, route, dict.fromkeys(KINDS, rate)),
                lambda step, x, labels: (labels_only(network(x, route), labels, x),),
                task.dataset,
                schedule,
                Optimization(),
                CPU,
                stage.checkpoint,
                advance,
            )
        stage.save(network)
    trained = Trained(space, network, task.dataset.train)
    on_validation, on_test = (
        float(trained.evaluate(row[None], split)[0])
        for split in (task.dataset.validation, task.test)
    )
    return on_validation, on_test, rate


def routes_of(task: Task, piece: Piece, seed: int) -> Routes:
    """Anchors and stitched networks as a piece trains them, or as it did before."""
    folder = task.folder / piece.name / str(seed)
    n_alone, n_anchors = piece.epochs_alone, len(task.family.anchors)
    settings = replace(
        Training(n_alone, task.epochs - n_alone * n_anchors, seed, anchors=task.files),
        **piece.training,
    )
    space = StitchSpace(task.family, piece.rule or task.rule, max_stitches=1)
    begun = time.monotonic()
    if piece.chooses:
        arguments = (space, task.dataset, settings, folder)
        places = load_places(*arguments) or choose_places(*arguments, TerminalProgress())
        space = space.with_stitches(places)
    with _updates() as seen:
        trained = train(space, task.dataset, settings, folder, TerminalProgress())
        seconds = time.monotonic() - begun
    told = folder / "updates.json"
    if seen:
        stitches = {p: n for p, n in seen[-1].counts.items() if p.startswith("stitch")}
        with written(told) as (part,):
            part.write_text(json.dumps({"updates": [*stitches.values()], "seconds": seconds}))
    # A kill between weights and these leaves weights alone.
    facts = json.loads(told.read_text()) if told.exists() else {"updates": [], "seconds": np.nan}
    X, names = np.concatenate([space.landmarks, space.crossings]), task.family.anchors
    return Routes(
        [space.describe(row) for row in X],
        [f"{names[stitch.source]}-{names[stitch.target]}" for stitch in space.stitches],
        count_macs(space, X),
        trained.evaluate(X, task.dataset.validation),
        trained.evaluate(X, task.test),
        **facts,
    )


@contextmanager
def _updates() -> Iterator[list[Updates]]:
    """Numbers of updates that training tells of inside."""
    seen: list[Updates] = []

    def note(record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        seen.extend(one for one in arguments if isinstance(one, Updates))
        return True

    log = logging.getLogger("tailorbird")
    level = log.level
    log.addFilter(note)
    log.setLevel(logging.INFO)
    try:
        yield seen
    finally:
        log.removeFilter(note)
        log.setLevel(level)


def compared(task: Task, pieces: Sequence[Piece], n_seeds: int) -> dict[str, dict[str, Any]]:
    """Trains all, prints a line for each way of training, and returns what it says."""
    names = task.family.anchors
    lines = np.array(
        [[alone(task, a, seed) for a in range(len(names))] for seed in range(n_seeds)]
    )  # seeds, anchors, (validation, test, rate)
    print(f"\n{', '.join(names)}; {len(task.test.labels)} test images, {n_seeds} seeds")
    for a, name in enumerate(names):
        accuracy = cell(with_interval(lines[:, a, 1]))
        epochs = task.epochs / len(names)
        print(f"{name} alone, {epochs:g} epochs: {accuracy} %, rates {lines[:, a, 2]}")
    print(
        f"{'':<20}{'networks':>9}{'updates':>8}  {'from anchors alone':<20}{'best':>7}"
        f"  {'from own anchors':<20}{'anchors inside - alone':<22}{'hours':>6}   "
        f"goals {100 * LEAST:g}"
    )
    found = {}
    for piece in pieces:
        made = [routes_of(task, piece, seed) for seed in range(n_seeds)]
        found[piece.name] = row_of(made, lines)
        row = found[piece.name]
        hours = row["seconds"] / 3600
        inside = " ".join(f"{100 * lost['mean']:6.2f}" for lost in row["inside"])
        print(
            f"{piece.name:<20}{len(made[0].pairs):9}{row['updates']:8.0f}  {cell(row['mean'])} "
            f"{100 * row['best']:7.2f}  {cell(row['own'])} {inside:<22}{hours:6.2f}",
            flush=True,
        )
    return found


def row_of(made: Sequence[Routes], lines: FloatArray) -> dict[str, Any]:
    """Distances of stitched networks from both lines.

    Args:
        made: a training for each seed.
        lines: of each anchor alone (seeds, anchors, 3): accuracy on validation and test images, and
            its learning rate.
    """
    n, each = made[0].n_anchors, [*zip(made, lines, strict=True)]
    on_validation = [routes.above(routes.on_validation, line[:, 0]) for routes, line in each]
    above = np.array([routes.above(routes.on_test, line[:, 1]) for routes, line in each])
    own = np.array([routes.above(routes.on_test, routes.on_test[:n]) for routes in made])
    inside = np.array([routes.on_test[:n] for routes in made]) - lines[:, :, 1]
    pairs = np.array(made[0].pairs)
    return {
        "mean": with_interval(above.mean(axis=1)),
        "on_validation": float(np.mean(on_validation)),
        "best": float(above.max(axis=1).mean()),
        "own": with_interval(own.mean(axis=1)),
        "inside": [with_interval(lost) for lost in inside.T],
        "of_pair": {
            str(pair): {
                "mean": with_interval(above[:, pairs == pair].mean(axis=1)),
                "best": float(above[:, pairs == pair].max(axis=1).mean()),
            }
            for pair in np.unique(pairs)
        },
        "updates": float(np.median(np.concatenate([routes.updates for routes in made]))),
        "seconds": float(np.mean([routes.seconds for routes in made])),
        "networks": [routes.names for routes in made],
        "n_macs": [routes.n_macs.tolist() for routes in made],
        "accuracy": [routes.on_test.tolist() for routes in made],
    }


def best_of(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The way of training whose networks are the furthest above the line, by validation images."""
    best = max(rows, key=lambda name: rows[name]["on_validation"])
    print(f"The best by validation images: {best}")
    return best


def missed(name: str, row: Mapping[str, Any]) -> list[str]:
    """Goals that a way of training misses."""
    lines = [("networks", row["mean"])] + [("an anchor inside", lost) for lost in row["inside"]]
    return [
        f"{name}: {what} {100 * found['mean']:.2f} points from anchors alone, goal {100 * LEAST:g}"
        for what, found in lines
        if not found["mean"] >= LEAST
    ]
