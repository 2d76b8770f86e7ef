"""Pictures of latency tables and of records, drawn from their data frames."""

from typing import TYPE_CHECKING

from tailorbird.notebook import label, legend

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def latencies(table: "pd.DataFrame", ax: "Axes") -> "Axes":
    """Draws the latencies of a table by rank, with a bar of one std and a colour per operator."""
    ranked = table.dropna(subset="median_ms").sort_values("median_ms", ignore_index=True)
    for op, of in ranked.groupby(ranked["workload"].str.split("(").str[0], sort=False):
        # Where no spread is known, std is NaN, and there is no bar.
        ax.errorbar(
            of.index, of["median_ms"], of["std_ms"], fmt=".", elinewidth=0.8, label=label(op)
        )
    ax.set(xlabel="workloads, by latency", ylabel="latency, ms", yscale="log")
    legend(ax)
    return ax


def rounds(record: "pd.DataFrame", ax: "Axes") -> "Axes":
    """Draws the rounds of a record in their order, each over the median of its program."""
    usual_ms = record.groupby("workload")["median_ms"].transform("median")
    timed = record.assign(ratio=record["median_ms"] / usual_ms).dropna(subset="ratio")
    for status, of in timed.groupby("status"):
        ax.plot(of.index, of["ratio"], "x" if status == "discarded" else ".", label=status)
    ax.set(xlabel="tries, in their order", ylabel="latency over the program's median")
    legend(ax)
    return ax
