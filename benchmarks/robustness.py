"""Wrong inputs of every kind, made by seeded draws: each is refused, or right to be accepted.

Recipes, exported latency tables, files of weights, and tables of users are changed at random, in
their values and in their bytes, and given to the commands that read them (see `fuzz`). A case is

- refused: exit code 2 and a sentence, nothing left behind and no store changed;
- accepted, and there is a reason why that is right, which something other than the package gives;
- a traceback: what the package did not foresee, or a process that died;
- a hang: no end within the limit, when its process is killed;
- untidy: a refusal that is not as above, raw control characters, JSON that is not strict;
- unexplained: accepted without such a reason;
- wrongly refused: nothing was wrong with it.

Exits with 1 unless all are refused, or accepted for a reason; and if a right input, from which
wrong ones are made, is not accepted.
"""

import os
import re
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from fuzz.judge import Verdict
from fuzz.kinds import KINDS, N_CASES, N_ORIGINALS
from fuzz.pool import Job, Tried, tried
from scripts import command_line, write_result

from tailorbird.progress import on_stderr

LIMIT_S = 60.0
GOOD: tuple[Verdict, ...] = ("refused", "accepted")
BAD: tuple[Verdict, ...] = ("traceback", "hang", "untidy", "unexplained", "wrongly refused")
SHOWN = 3  # cases of each failure
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d+(\.\d+)?(e[-+]?\d+)?|\n.*", re.DOTALL)
"""Of what is said of failures, what tells them not apart."""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--times", type=float, default=1.0, help="as many cases, times this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, action="append", metavar="CLASS")
    parser.add_argument("--case", type=int, help="only this one of the class")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the files of failures")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="until a case hangs")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    results: dict[str, object] = {"seed": arguments.seed, "times": arguments.times}
    missed: list[str] = []
    print(f"{'class':<13}" + "".join(f"{name:>17}" for name in ("tried", *GOOD, *BAD, "seconds")))
    for kind in arguments.only or KINDS:
        numbers = range(-N_ORIGINALS[kind], round(arguments.times * N_CASES[kind]))
        if arguments.case is not None:
            numbers = range(arguments.case, arguments.case + 1)
        start = time.perf_counter()
        done = []
        with on_stderr().task(kind, len(numbers)) as advance:
            for one in tried(
                [Job(kind, number) for number in numbers],
                KINDS,
                seed=arguments.seed,
                n_workers=2,
                limit_s=arguments.limit_s,
                keep=arguments.keep,
            ):
                done.append(one)
                advance(str(one.job))
        results[kind], failed = told(kind, done, time.perf_counter() - start)
        missed += failed
    for line in missed:
        print(f"MISSED {line}")
    write_result(arguments.json, {**results, "missed": missed})
    sys.exit(bool(missed))


def told(kind: str, done: list[Tried], seconds: float) -> tuple[dict[str, object], list[str]]:
    """Figures of a class, after they were shown, and what it missed."""
    done = sorted(done, key=lambda one: one.job.number)
    cases = [one for one in done if one.job.number >= 0]
    counts = Counter(one.judged.verdict for one in cases)
    figures = [len(cases), *(counts[name] for name in (*GOOD, *BAD)), round(seconds)]
    print(f"{kind:<13}" + "".join(f"{figure:>17}" for figure in figures), flush=True)
    reasons = Counter(one.judged.said for one in cases if one.judged.verdict == "accepted")
    for reason, n in reasons.most_common():
        print(f"  {n} accepted: {reason}")
    missed = [
        f"{one.job}, an original: {one.judged.verdict}: {' '.join(one.judged.said.split())}"
        for one in done
        if one.job.number < 0 and one.judged.verdict != "accepted"
    ]
    failures: dict[tuple[str, str], list[Tried]] = defaultdict(list)
    for one in cases:
        if one.judged.verdict in BAD:
            failures[one.judged.verdict, _VARIES.sub("…", one.judged.said)].append(one)
    for (verdict, _), of in sorted(failures.items(), key=lambda item: -len(item[1])):
        said = " ".join(of[0].judged.said.split())
        print(f"  {len(of)} {verdict}: {said[:300]}")
        for one in of[:SHOWN]:
            print(f"    {one.job} {one.judged.change}"[:300])
        missed.append(f"{kind}: {len(of)} {verdict} (first: {of[0].job}): {said[:200]}")
    slowest = max(done, key=lambda one: one.seconds)
    return {
        "tried": len(cases),
        **{name: counts[name] for name in (*GOOD, *BAD)},
        "seconds": seconds,
        "slowest": {"case": str(slowest.job), "seconds": slowest.seconds},
        "reasons": dict(reasons),
        "cases": [
            {"case": str(one.job), **asdict(one.judged)}
            for one in done
            if one.judged.verdict != "refused"
        ],
    }, missed


if __name__ == "__main__":
    main()
