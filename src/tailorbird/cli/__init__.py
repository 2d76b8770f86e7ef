"""The command line: all that prints or exits."""
