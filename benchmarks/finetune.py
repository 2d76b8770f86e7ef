"""Networks that are finetuned, against what they were, and against the same ones from scratch.

A supernet of digits-elastic (360 networks, 58 times between the fewest and the most multiply-adds)
is trained as its example recipe says, on 600 digits. Three of its networks, the smallest, the one
in the middle of log MACs and the largest, are then finetuned as a recipe does by default: trained
on alone from the labels and the largest network's answers. Their new weights are kept if they are
better on 600 validation images by a standard error of the difference. Beside them stand the same
networks trained from scratch, each for as many passes over the training images as the whole
supernet and finetuning had, with the learning rates of the supernet.

Figures are test accuracies, means over seeds with 95 % intervals (Student's t), and the differences
that `finetune` itself tells of each network: paired by image, with a standard error, and whether
from scratch is better by two of them. Exits with 1 if a network of any seed is worse after than
before, on test or on validation images, or if what `tailorbird finetune` says of it does not
mention that from scratch wins, by two standard errors, where it does. All that is trained is kept in --folder and picked up: some 55,000 passes.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.alone import spread_over_sizes
from scripts.seeds import cell, with_interval

from tailorbird import spaces
from tailorbird.progress import TerminalProgress
from tailorbird.recipe import AccuracySection
from tailorbird.spaces import IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.training import SupernetTraining, digits, train_supernet
from tailorbird.training.finetuning.difference import Difference, difference
from tailorbird.training.finetuning.settings import Finetuning
from tailorbird.training.finetuning.train import finetune, train_alone

SIZES = ("smallest", "middle", "largest")
DATASET = digits.load()
ASKED = AccuracySection()


@dataclass(frozen=True)
class Outcome:
    """One network of one seed.

    Attributes:
        test: accuracy before, after and from scratch, (3,).
        validation: likewise.
        gain: of after over before.
        lead: of from scratch over after.
        has_changed: whether the trained weights were kept.
    """

    test: tuple[float, float, float]
    validation: tuple[float, float, float]
    gain: Difference
    lead: Difference
    has_changed: bool


def outcome(space: Chain, row: IntArray, seed: int, folder: Path) -> Outcome:
    """Trains what is not there yet."""
    progress, rates = TerminalProgress(), ASKED.learning_rates.model_dump()
    settings = SupernetTraining(ASKED.supernet_epochs, seed)
    home = folder / f"seed-{seed}"
    supernet = train_supernet(space, DATASET, settings, home, progress)
    lower = {kind: ASKED.finetune_rate * rate for kind, rate in rates.items()}
    on = Finetuning(ASKED.finetune_epochs, seed, lower)
    found = finetune(supernet, row, DATASET, on, home, progress)
    afresh = Finetuning(ASKED.supernet_epochs + ASKED.finetune_epochs, seed, rates)
    alone = train_alone(space, row, DATASET, afresh, home, progress)
    three = (found.before, found.after, alone)
    test, validation = (
        [float(trained.evaluate(row[None], split)[0]) for trained in three]
        for split in (DATASET.test, DATASET.validation)
    )
    return Outcome(
        (test[0], test[1], test[2]),
        (validation[0], validation[1], validation[2]),
        difference(found.after, found.before, row, DATASET.test),
        difference(alone, found.after, row, DATASET.test),
        found.has_changed,
    )


def compare(
    size: str, network: str, outcomes: list[Outcome]
) -> tuple[dict[str, object], list[str]]:
    """Figures of one network over seeds, and what is missed; prints its lines."""
    test = np.array([one.test for one in outcomes])
    figures = dict(zip(("before", "after", "scratch"), map(with_interval, test.T), strict=True))
    gain, lead = test[:, 1] - test[:, 0], test[:, 2] - test[:, 1]
    cells = "".join(f"{cell(figure):<22}" for figure in figures.values())
    n_sure = sum(one.lead.is_sure for one in outcomes)
    print(
        f"{size:<10}{cells}{100 * gain.mean():+6.2f}{100 * lead.mean():+9.2f}"
        f"{n_sure:>7} of {len(outcomes)}  {network}"
    )
    missed = []
    if gain.mean() < 0:
        missed.append(f"{size}: {-100 * gain.mean():.2f} points lower after than before")
    for seed, one in enumerate(outcomes):
        print(
            f"  seed {seed}: {100 * one.gain.mean:+.2f} ± {100 * one.gain.std:.2f} points, from "
            f"scratch {100 * one.lead.mean:+.2f} ± {100 * one.lead.std:.2f} more"
            f"{': the command says so' if one.lead.is_sure else ''}"
            f"{'' if one.has_changed else '; kept as before'}"
        )
        if one.validation[1] < one.validation[0]:
            missed.append(f"{size}, seed {seed}: kept weights are worse on validation images")
        wins = one.test[2] - one.test[1]
        if (wins > 0 and wins >= 2 * one.lead.std) != one.lead.is_sure:
            missed.append(f"{size}, seed {seed}: the command is silent on from scratch")
    rows = [
        {
            "test": one.test,
            "validation": one.validation,
            "gain_std": one.gain.std,
            "scratch_lead_std": one.lead.std,
            "scratch_is_better": one.lead.is_sure,
            "has_changed": one.has_changed,
        }
        for one in outcomes
    ]
    return {"network": network, **figures, "seeds": rows}, missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/finetune"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = spaces.get("digits-elastic")
    assert isinstance(space, Chain)
    X = spread_over_sizes(space, len(SIZES))
    print(
        f"{ASKED.supernet_epochs} epochs of the supernet, {ASKED.finetune_epochs} of finetuning at "
        f"{ASKED.finetune_rate:g} times its learning rates, {arguments.seeds} seeds: test accuracy "
        "in %, with 95 % intervals"
    )
    heads = "".join(f"{head:<22}" for head in ("before", "after", "from scratch"))
    print(f"{'':<10}{heads}  gain  scratch  surely  network")
    result: dict[str, object] = {}
    missed: list[str] = []
    for size, row in zip(SIZES, X, strict=True):
        seeds = range(arguments.seeds)
        outcomes = [outcome(space, row, seed, arguments.folder) for seed in seeds]
        macs = int(count_macs(space, row[None])[0]) // space.input_shape[0]
        network, more = compare(size, space.describe(row), outcomes)
        result[size] = {"n_macs": macs, **network}
        missed += more
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    facts = {"space": space.name, "seeds": arguments.seeds, "missed": missed}
    epochs = {"supernet": ASKED.supernet_epochs, "finetune": ASKED.finetune_epochs}
    write_result(
        arguments.json,
        {**facts, "epochs": epochs, "finetune_rate": ASKED.finetune_rate, "networks": result},
    )
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
