"""True evaluations of networks: processes, studies, and earlier evaluations."""
