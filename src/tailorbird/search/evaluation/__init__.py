"""True evaluations: processes, studies, and what was known before."""
