"""The report as one page of HTML, which needs nothing else and no network."""
