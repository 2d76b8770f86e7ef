"""Names that recipes know: a table for each kind, from name to Python path.

What a table names is loaded when it is used, so that tables can be read at no cost.
"""
