"""The machine that is measured: what it is, how it is reached, and who may time it now."""
