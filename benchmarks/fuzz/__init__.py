"""Wrong inputs of every kind, made by seeded draws, and what the command line does with them.

A class of inputs is a `Fuzzer`: it makes cases, each a few files, the commands that read them, and
why it would be right to accept them. `pool` tries cases in processes that it may kill; `judge` says
what came of one.
"""
