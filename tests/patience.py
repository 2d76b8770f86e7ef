"""How long tests wait for other processes."""

PATIENCE_S = 900.0
"""Far more than a slow and busy machine needs: what hangs must fail, and nothing else."""
