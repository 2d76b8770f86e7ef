"""Databases of SQLAlchemy, SQLite and PostgreSQL: connections, failures, URLs."""
