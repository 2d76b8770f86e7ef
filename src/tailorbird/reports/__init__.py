"""What people look at: networks checked on the device, figures, tables and files."""

from tailorbird.reports.checked import Checked
from tailorbird.reports.error_distribution import ErrorDistribution
from tailorbird.reports.report import Report
from tailorbird.reports.summary import summarise
from tailorbird.reports.write import write

__all__ = ["Checked", "ErrorDistribution", "Report", "summarise", "write"]
