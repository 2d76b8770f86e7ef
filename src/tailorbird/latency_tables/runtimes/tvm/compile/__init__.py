"""From a torch module to a shared library, step by step."""
