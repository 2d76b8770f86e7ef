"""Databases, files of others, and files that are whole or not there."""
