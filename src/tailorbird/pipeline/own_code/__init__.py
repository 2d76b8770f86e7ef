"""Kinds of things that recipes name: registered ones, and users' own by their Python path.

Users' code is tried before anything is measured, and what it raises names the key and the line.
"""
