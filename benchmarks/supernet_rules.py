"""Training rules of supernets, and whether inherited weights are as good as those trained alone.

Supernets of digits-elastic (360 networks, 58 times between the fewest and the most multiply-adds)
are trained on 600 digits, 2,400 passes of one network over a batch in all, whatever the rule; a
pass that is not gone back counts as a third. The rules of the first papers go with every draw of
networks, the others with the default one. The first table has test accuracies of the smallest and
the largest network, and the mean and the worst of 50 that are drawn at random. What a recipe gets
that names no rule must be the best of them by the mean of 50 on the validation images, or less than
two standard errors of the difference below it.

The second table says which rules beat a single path that is drawn uniformly, by that mean on test
images; and whether inherited accuracies rank networks as accuracies of networks alone do: Kendall's
tau over eight networks of each third of the range of log MACs, averaged over the thirds, since over
the whole range the size alone ranks them. Networks alone have a mean over all seeds, and accuracies
are those on validation and test images. How well networks alone of one seed rank as those of the
other seeds do is the bound of what can be hoped for.

Then seven networks, spread evenly over log MACs, have the weights that they inherit from one
supernet by the default rule and draw, beside weights of their own: trained alone, each with a
seventh of the supernet's passes, by the same optimizer, learning rates, batch size and
augmentation, and with batch norms calibrated on the same images. Two budgets: some 2,500 passes
in all, and some 7,200.

Figures are means over seeds, the same for both sides, with 95 % intervals (Student's t); standard
errors are those of differences within a seed. Exits with 1 if the default is not the best, if the
mean over the sizes is below that of the networks alone, or if one size is lower by more than half a
point and two standard errors. All that is trained is kept in --folder and picked up. It is some
180,000 passes, an hour of one quiet core. With --space cifar-elastic all of it is done on CIFAR-10
as JPEG, by as many passes, in hours; --epochs shortens it, and --rules, --routes and --parts
leave things out.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.alone import spread_over_sizes
from scripts.seeds import cell, plain_cell, standard_error, verdict_of, with_interval
from scripts.supernet_bench import TASKS, Bench, both_of

from tailorbird import spaces
from tailorbird.predictors.metrics import kendall_tau
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import SupernetTraining
from tailorbird.training.shared.size_groups import size_groups

N_SIZES = 7
N_RANDOM = 50
N_IN_THIRD = 8
TOLERANCE = 0.005
DRAWS = [name for name, entry in ROUTE_DRAWS.items() if not entry.of_stitches]
WITH_EVERY_DRAW = ("single-path", "sandwich")
UNIFORM = ("single-path", "uniform")
PARTS = ("rules", "alone")


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
class Compared:
    """Figures of one rule and draw.

    Attributes:
        test: accuracies of the ends and of random networks, (seeds, 2 + 50).
        validation: mean accuracies of the random ones, (seeds,).
        ranked: accuracies of networks that are ranked, (seeds, n).
    """

    test: FloatArray
    validation: FloatArray
    ranked: FloatArray


def ends_and_random(space: Chain) -> IntArray:
    """The smallest and the largest network, and some at random, each once, (52, d)."""
    X = np.concatenate(list(space.enumerate()))
    some = np.random.default_rng(0).choice(len(X), N_RANDOM, replace=False)
    return np.concatenate([smallest_and_largest(space), X[np.sort(some)]])


def compare_rules(
    bench: Bench, named: Sequence[tuple[str, str]]
) -> tuple[dict[str, object], list[str]]:
    """Figures of rules and draws, and what is wrong with the default; prints two tables."""
    thirds = [some_of(group) for group in size_groups(bench.space, 0, 3).rows]
    print(f"{bench.epochs} epochs, {bench.n_seeds} seeds: test accuracy in %, 95 % intervals")
    print(f"{'rule':<18}{'draw':<11}" + "".join(f"{name:<22}" for name in FIGURES) + "validation")
    compared = dict[tuple[str, str], Compared]()
    for rule, routes in named:
        one = compared[rule, routes] = figures_of(bench, rule, routes, np.concatenate(thirds))
        figures = [with_interval(of(one.test)) for of in FIGURES.values()]
        cells = "".join(f"{cell(figure):<22}" for figure in figures)
        print(f"{rule:<18}{routes:<11}{cells}{cell(with_interval(one.validation))}", flush=True)
    ranks, bound = ranked(bench, thirds, compared)
    result: dict[str, object] = {"tau of alone": bound}
    for (rule, routes), one in compared.items():
        result[f"{rule}, {routes}"] = {
            **{name: with_interval(of(one.test)) for name, of in FIGURES.items()},
            "validation": with_interval(one.validation),
            **ranks[rule, routes],
            "test_accuracy": one.test.tolist(),
        }
    default = SupernetTraining(bench.epochs, seed=0)
    validation = {named: one.validation for named, one in compared.items()}
    return result, flaws_of_default(validation, (default.rule, default.routes))


def figures_of(bench: Bench, rule: str, routes: str, ranked: IntArray) -> Compared:
    """Figures of supernets, one for each seed, that have networks (n, d) to be ranked."""
    X, data = ends_and_random(bench.space), bench.dataset
    both = np.concatenate([X, ranked])
    sizes = [len(data.validation.labels), len(data.test.labels)]
    accuracies = []
    for seed in range(bench.n_seeds):
        made = bench.supernet(bench.epochs, rule, routes, seed)
        accuracies.append([made.evaluate(both, split) for split in (data.validation, data.test)])
    validation, test = np.array(accuracies).swapaxes(0, 1)
    on_all = np.average([validation, test], axis=0, weights=sizes)
    n = len(X)
    return Compared(test[:, :n], mean_of(validation[:, :n]), on_all[:, n:])


def rules_and_draws(rules: Sequence[str], routes: Sequence[str]) -> list[tuple[str, str]]:
    """Rules with the draws that they are compared by; the default and uniform ones always."""
    default = SupernetTraining(1, seed=0)
    named = dict.fromkeys([(default.rule, default.routes), UNIFORM])
    for rule in rules:
        for draw in routes if rule in WITH_EVERY_DRAW else [default.routes]:
            named[rule, draw] = None
    return [*named]


def some_of(X: IntArray) -> IntArray:
    """A few rows at random, (at most 8, d)."""
    chosen = np.random.default_rng(1).choice(len(X), min(N_IN_THIRD, len(X)), replace=False)
    return X[np.sort(chosen)]


def tau(one: FloatArray, other: FloatArray, ends: IntArray) -> float:
    """Mean of Kendall's taus within parts of two orders of networks (n,)."""
    parts = zip(np.split(one, ends), np.split(other, ends), strict=True)
    return float(np.mean([kendall_tau(own, others) for own, others in parts]))


def ranked(
    bench: Bench, thirds: Sequence[IntArray], compared: Mapping[tuple[str, str], Compared]
) -> tuple[dict[tuple[str, str], dict[str, object]], dict[str, float]]:
    """What each rule gains on a uniform single path, and how well it ranks; prints a table.

    Args:
        bench: of the networks.
        thirds: networks of each third of log MACs, (n, d) each.
        compared: figures by rule and draw.

    Returns:
        Gains and taus by rule and draw, and the tau of networks alone.
    """
    X, seeds = np.concatenate(thirds), range(bench.n_seeds)
    alone = np.array(
        [bench.alone(X, bench.epochs_alone[0], both_of(bench.dataset), seed) for seed in seeds]
    )
    ends = np.cumsum([len(third) for third in thirds])[:-1]
    others = [np.delete(alone, seed, axis=0) for seed in seeds] if len(alone) > 1 else []
    bound = with_interval(
        np.array(
            [tau(own, other.mean(axis=0), ends) for own, other in zip(alone, others, strict=False)]
            or [np.nan]
        )
    )
    uniform = mean_of(compared[UNIFORM].test)
    print(f"\n{'rule':<18}{'draw':<11}{'gain on uniform':>16}{'2 se':>6}  beats it  tau in thirds")
    result = dict[tuple[str, str], dict[str, object]]()
    for named, one in compared.items():
        gain = mean_of(one.test) - uniform
        two = 2 * standard_error(gain)
        taus = with_interval(np.array([tau(own, alone.mean(axis=0), ends) for own in one.ranked]))
        verdict = "" if named == UNIFORM else verdict_of(float(gain.mean()), two)
        print(
            f"{named[0]:<18}{named[1]:<11}{100 * gain.mean():16.2f}{100 * two:6.2f}  {verdict:<10}"
            f"{plain_cell(taus)}",
            flush=True,
        )
        result[named] = {"gain_on_uniform": with_interval(gain), "tau": taus, "verdict": verdict}
    print(f"{'alone, each seed against the others':<61}{plain_cell(bound)}")
    return result, bound


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
    seeds, test = range(bench.n_seeds), bench.dataset.test
    inherited = np.array([supernet(seed).evaluate(X, test) for seed in seeds])
    alone = np.array([bench.alone(X, epochs_alone, [test], seed) for seed in seeds])
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
    parser.add_argument("--space", choices=TASKS, default="digits-elastic")
    parser.add_argument("--epochs", type=int, help="of the supernets whose rules are compared")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rules", nargs="+", choices=TRAINING_RULES, default=[*TRAINING_RULES])
    parser.add_argument("--routes", nargs="+", choices=DRAWS, default=DRAWS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/supernet_rules"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space, task = spaces.get(arguments.space), TASKS[arguments.space]
    assert isinstance(space, Chain)
    epochs = arguments.epochs or task.epochs
    folder, budgets_alone = arguments.folder, task.epochs_alone
    bench = Bench(space, task.load(), folder, epochs, budgets_alone, arguments.seeds)
    rules, missed = dict[str, object](), list[str]()
    if "rules" in arguments.parts:
        named = rules_and_draws(arguments.rules, arguments.routes)
        rules, missed = compare_rules(bench, named)
    budgets: dict[str, object] = {}
    for epochs_alone in budgets_alone if "alone" in arguments.parts else ():
        budgets[f"{N_SIZES * epochs_alone} epochs"], more = compare_alone(bench, epochs_alone)
        missed += more
    if bench.n_seeds < 2:
        missed.append("one seed says nothing of differences: give more --seeds")
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    facts = {"space": space.name, "epochs": epochs, "seeds": bench.n_seeds, "missed": missed}
    write_result(arguments.json, {**facts, "rules": rules, "against_alone": budgets})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
