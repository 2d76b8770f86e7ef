"""Sentences on how far the figures of a report are to be trusted."""

from collections.abc import Iterator, Mapping

from tailorbird.latency_tables.tables.table import SOUND
from tailorbird.reports.report import Report


def trust_of(report: Report) -> tuple[str, ...]:
    """What predictions were worth where networks were checked, and the table behind them."""
    table = table_trust(report.summary)
    return (*_latency(report), *_accuracy(report.summary), *([table] if table else []))


def distrusted(summary: Mapping[str, object]) -> str:
    """Warning of a table of which many rows are not to be trusted; empty if it is sound."""
    share, device = summary.get("share_trusted"), summary.get("is_measured_here")
    if not isinstance(share, float) or share >= SOUND:
        return ""
    way_out = (
        "measure again on a quiet machine, with `tailorbird table measure-again RECIPE`"
        if device
        else "look at `tailorbird table show` before you rely on it"
    )
    return f"{share:.0%} of the rows of the latency table are to be trusted: {way_out}."


def table_trust(summary: Mapping[str, object]) -> str:
    """Sentence on the rows of the latency table; empty if there is none."""
    share, n = summary.get("share_trusted"), summary.get("n_rows")
    if not isinstance(share, float):
        return ""
    told = (
        f"Table: {share:.0%} of its {n} rows are to be trusted, with rounds that agree within 5 % "
        "on a quiet machine"
    )
    others = "; `tailorbird table show` says what is wrong with the others"
    return f"{told}{others if share < 1 else ''}."


def _latency(report: Report) -> Iterator[str]:
    summary = report.summary
    if not summary.get("n_timed"):
        yield "Latency: no network was timed whole, so predictions were not checked on the device."
        return
    yield (
        f"Latency: {summary['n_timed']} networks, of the front and random ones, were each compiled "
        "whole and timed in two rounds. The mean absolute error of predictions is "
        f"{_figure(summary, 'mape', 100)}."
    )
    if summary.get("kendall_tau") is not None:
        rounds = summary.get("kendall_tau_rounds")
        noise = f", that of one round and the other {rounds:.3f}" if _is_known(rounds) else ""
        yield (
            "Kendall's tau of predictions and measurements is "
            f"{_figure(summary, 'kendall_tau', 1)}{noise}."
        )


def _accuracy(summary: Mapping[str, object]) -> Iterator[str]:
    tau = summary.get("kendall_tau_accuracy")
    if _is_known(tau):
        yield (
            f"Accuracy: Kendall's tau of predictions and tests is {tau:.3f} over the front and "
            "random networks; 1 is the same order, 0 none in common."
        )


def _is_known(figure: object) -> bool:
    return isinstance(figure, float)


def _figure(summary: Mapping[str, object], name: str, factor: float) -> str:
    """A figure with its interval, if it has one."""
    value, interval = summary[name], summary.get(f"{name}_interval")
    digits, unit = (1, " %") if factor > 1 else (3, "")
    told = f"{factor * float(str(value)):.{digits}f}{unit}"
    if not isinstance(interval, list):
        return told
    low, high = (f"{factor * end:.{digits}f}" for end in interval)
    return f"{told} ({low} to {high} with 95 % of draws of as many networks)"
