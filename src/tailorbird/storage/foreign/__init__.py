"""Readers of files that others wrote: none is read or unpacked beyond a limit."""
