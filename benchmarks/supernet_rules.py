"""Training rules of supernets, and whether inherited weights are as good as those trained alone.

Supernets of digits-elastic (360 networks, 58 times between the fewest and the most multiply-adds)
are trained on 600 digits with each rule and each draw of networks, 2,400 passes of one network over
a batch in all, whatever the rule. The table has test accuracies of the smallest and the largest
network, and the mean and the worst of 50 that are drawn at random. What a recipe gets that names
no rule must be the best of them by the mean of 50 on the validation images, or less than two
standard errors of the difference below it.

Then seven networks, spread evenly over log MACs, have the weights that they inherit from one
supernet by the default rule and draw, beside weights of their own: trained alone, each with a
seventh of the supernet's passes, by the same optimizer, learning rates, batch size and
augmentation, and with batch norms calibrated on the same images. Two budgets: some 2,500 passes
in all, and some 7,200.

Figures are means over seeds, the same for both sides, with 95 % intervals (Student's t); standard
errors are those of differences within a seed. Exits with 1 if the default is not the best, if the
mean over the sizes is below that of the networks alone, or if one size is lower by more than half a
point and two standard errors. All that is trained is kept in --folder and picked up. It is some
110,000 passes, half an hour of one quiet core.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.alone import spread_over_sizes, trained_alone
from scripts.seeds import cell, standard_error, with_interval

from tailorbird import spaces
from tailorbird.progress import TerminalProgress
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import SupernetTraining, Trained, digits, train_supernet

EPOCHS = 200
EPOCHS_ALONE = (30, 86)
N_SIZES = 7
N_RANDOM = 50
TOLERANCE = 0.005
DRAWS = [name for name, entry in ROUTE_DRAWS.items() if not entry.of_stitches]
DATASET = digits.load()


def mean_of(accuracy: FloatArray) -> FloatArray:
    return np.asarray(accuracy[:, 2:].mean(axis=1))


FIGURES: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "smallest": lambda accuracy: accuracy[:, 0],
    "largest": lambda accuracy: accuracy[:, 1],
    f"mean of {N_RANDOM}": mean_of,
    f"worst of {N_RANDOM}": lambda accuracy: accuracy[:, 2:].min(axis=1),
}
"""By name, what is made of accuracies (seeds, 2 + 50) of the ends and of random networks."""


@dataclass(frozen=True)
class Bench:
    """What all parts of the benchmark share.

    Attributes:
        space: of the networks.
        folder: for weights.
        n_seeds: number of seeds, from 0 on.
    """

    space: Chain
    folder: Path
    n_seeds: int

    def supernet(self, epochs: int, rule: str, routes: str, seed: int) -> Trained:
        folder = self.folder / f"{rule}-{routes}-{epochs}-epochs-seed-{seed}"
        settings = SupernetTraining(epochs, seed, rule=rule, routes=routes)
        return train_supernet(self.space, DATASET, settings, folder, TerminalProgress())


def ends_and_random(space: Chain) -> IntArray:
    """The smallest and the largest network, and some at random, each once, (52, d)."""
    X = np.concatenate(list(space.enumerate()))
    some = np.random.default_rng(0).choice(len(X), N_RANDOM, replace=False)
    return np.concatenate([smallest_and_largest(space), X[np.sort(some)]])


def compare_rules(bench: Bench) -> tuple[dict[str, object], list[str]]:
    """Figures of each rule and draw, and what is wrong with the default; prints a table."""
    X = ends_and_random(bench.space)
    default = SupernetTraining(EPOCHS, seed=0)
    print(f"{EPOCHS} epochs, {bench.n_seeds} seeds: test accuracy in %, with 95 % intervals")
    print(f"{'rule':<13}{'draw':<11}" + "".join(f"{name:<22}" for name in FIGURES) + "validation")
    result: dict[str, object] = {}
    validation: dict[tuple[str, str], FloatArray] = {}
    for rule in TRAINING_RULES:
        for routes in DRAWS:
            made = [bench.supernet(EPOCHS, rule, routes, seed) for seed in range(bench.n_seeds)]
            accuracy = np.array([trained.evaluate(X, DATASET.test) for trained in made])
            chosen_by = np.array([trained.evaluate(X, DATASET.validation) for trained in made])
            validation[rule, routes] = mean_of(chosen_by)
            figures = {name: with_interval(of(accuracy)) for name, of in FIGURES.items()}
            figures["validation"] = with_interval(mean_of(chosen_by))
            cells = "".join(f"{cell(figure):<22}" for figure in figures.values())
            print(f"{rule:<13}{routes:<11}{cells}", flush=True)
            result[f"{rule}, {routes}"] = {**figures, "test_accuracy": accuracy.tolist()}
    missed = flaws_of_default(validation, (default.rule, default.routes))
    return result, missed


def flaws_of_default(
    validation: Mapping[tuple[str, str], FloatArray], default: tuple[str, str]
) -> list[str]:
    """What another rule and draw does clearly better; prints which is best.

    Args:
        validation: mean accuracy of random networks by rule and draw, (seeds,).
        default: rule and draw.
    """
    best = max(validation, key=lambda one: validation[one].mean())
    by = f"by the mean of {N_RANDOM} on validation"
    if best == default:
        print(f"The default is best {by}.")
        return []
    lead = validation[best] - validation[default]
    text = f"{', '.join(best)} is {100 * lead.mean():.2f} points above {', '.join(default)} {by}"
    two = 2 * standard_error(lead)
    print(f"{text} (two standard errors: {100 * two:.2f})")
    return [f"the default is not the best: {text}"] if lead.mean() > two else []


def compare_alone(bench: Bench, epochs_alone: int) -> tuple[dict[str, object], list[str]]:
    """Inherited weights beside networks alone at one budget, and what is wrong; prints a table."""
    X = spread_over_sizes(bench.space, N_SIZES)
    epochs = N_SIZES * epochs_alone
    default = SupernetTraining(epochs, seed=0)
    supernet = partial(bench.supernet, epochs, default.rule, default.routes)
    seeds = range(bench.n_seeds)
    inherited = np.array([supernet(seed).evaluate(X, DATASET.test) for seed in seeds])
    alone = np.array([accuracy_alone(bench, X, epochs_alone, seed) for seed in seeds])
    difference = inherited - alone
    macs = count_macs(bench.space, X) / bench.space.input_shape[0]
    print(f"\n{epochs} epochs in all, {epochs_alone} for each network alone: test accuracy in %")
    print(f"{'MMACs':>6}  {'inherited':<22}{'alone':<22}{'difference':>10}{'se':>6}  network")
    sizes = list[dict[str, object]]()
    for i, row in enumerate(X):
        se = standard_error(difference[:, i])
        own, given = with_interval(alone[:, i]), with_interval(inherited[:, i])
        lead = float(difference[:, i].mean())
        network = bench.space.describe(row)
        print(
            f"{macs[i] / 1e6:6.2f}  {cell(given):<22}{cell(own):<22}{100 * lead:10.2f}"
            f"{100 * se:6.2f}  {network}"
        )
        sizes.append({"network": network, "n_macs": int(macs[i]), "inherited": given, "alone": own})
        sizes[-1] |= {"difference": lead, "standard_error": se}
    mean = with_interval(difference.mean(axis=1))
    print(
        f"{'mean':>6}  {cell(with_interval(inherited.mean(axis=1))):<22}"
        f"{cell(with_interval(alone.mean(axis=1))):<22}{cell(mean)}",
        flush=True,
    )
    result = {
        "sizes": sizes,
        "mean_difference": mean,
        "inherited": inherited.tolist(),
        "alone": alone.tolist(),
    }
    return result, flaws_of_inherited(difference, epochs)


def accuracy_alone(bench: Bench, X: IntArray, epochs: int, seed: int) -> FloatArray:
    """Test accuracy of each network of X (n, d), trained alone, (n,)."""
    folder = bench.folder / "alone"
    return np.concatenate(
        [
            trained_alone(bench.space, row, DATASET, epochs, seed, folder).evaluate(
                row[None], DATASET.test
            )
            for row in X
        ]
    )


def flaws_of_inherited(difference: FloatArray, epochs: int) -> list[str]:
    """What is worse than alone.

    Args:
        difference: of test accuracies, inherited less alone, (seeds, sizes).
        epochs: in all.
    """
    missed = []
    if difference.mean() < 0:
        missed.append(
            f"{epochs} epochs: the mean over sizes is {-100 * difference.mean():.2f} points lower "
            "than alone"
        )
    for i, of_size in enumerate(difference.T):
        bar = TOLERANCE + 2 * standard_error(of_size)
        if of_size.mean() < -bar:
            missed.append(
                f"{epochs} epochs: size {i + 1} of {N_SIZES} is {-100 * of_size.mean():.2f} points "
                f"lower than alone, more than {100 * bar:.2f}"
            )
    return missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/supernet_rules"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = spaces.get("digits-elastic")
    assert isinstance(space, Chain)
    bench = Bench(space, arguments.folder, arguments.seeds)
    rules, missed = compare_rules(bench)
    budgets: dict[str, object] = {}
    for epochs_alone in EPOCHS_ALONE:
        budgets[f"{N_SIZES * epochs_alone} epochs"], more = compare_alone(bench, epochs_alone)
        missed += more
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    facts = {"space": space.name, "epochs": EPOCHS, "seeds": bench.n_seeds, "missed": missed}
    write_result(arguments.json, {**facts, "rules": rules, "against_alone": budgets})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
