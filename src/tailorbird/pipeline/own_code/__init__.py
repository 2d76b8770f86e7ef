"""What a recipe names by a registered name, or by the Python path of code of a user's own.

Users' code is tried before anything is measured, and what it raises names the key and the line.
"""
