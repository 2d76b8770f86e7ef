"""Databases of any kind that SQLAlchemy knows: connections, their failures, their addresses."""
