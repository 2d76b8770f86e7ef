"""Plots of reports: SVG inside HTML, which scales without its texts."""
