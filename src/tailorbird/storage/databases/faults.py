"""Reasons of database failures in one line, with ways out."""

_AGAIN = "then run again: what was kept before is kept."
_DRIVER = (
    "PostgreSQL needs its driver: pip install 'tailorbird[postgresql]', and a URL that begins with "
    "postgresql+psycopg://."
)

# By a part of the reason, in lower case; the first that fits counts.
_WAYS_OUT = {
    "no module named 'psycopg": _DRIVER,
    "pq wrapper": _DRIVER,
    "unable to open": "Let this user read and write it and its folder, then run again, or name "
    "another store.",
    "readonly": "Make it and its folder writable, or name another store.",
    **dict.fromkeys(("read-only", "during recovery"), "Name the server that takes writes."),
    "permission denied": "Let its user make, read and write tables there (GRANT CREATE ON SCHEMA "
    "public TO ...), or name another store.",
    "no schema has been selected": "Make the schema of its search_path (CREATE SCHEMA).",
    "password": "Mend the user and the password in the URL, in PGPASSWORD or in ~/.pgpass.",
    "pg_hba.conf": "Let its user connect from this machine, in the server's pg_hba.conf.",
    "does not exist": "Make it on the server (createdb, createuser), or mend its name in the URL.",
    **dict.fromkeys(
        ("too many", "connection slots"),
        f"Let others end, or raise the server's max_connections, {_AGAIN}",
    ),
    "full": f"Make room, {_AGAIN}",
    "no space": f"Make room on the server, {_AGAIN}",
    "i/o error": f"Make room or mend the disk, {_AGAIN}",
    "locked": "Another program holds it: wait for that, then run again.",
    "lock timeout": "Another program holds it: wait for that, then run again.",
    **dict.fromkeys(
        ("refused", "timeout expired", "resolve host", "starting up", "shutting down"),
        f"Start the server, or mend host and port in the URL, {_AGAIN}",
    ),
}


def reason(error: BaseException) -> str:
    """Returns the first line of a driver's message, or of SQLAlchemy's own."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [""])[0]


def way_out(reason: str, otherwise: str) -> str:
    """Returns what a user can do about a reason; `otherwise` where none is known."""
    ways = (way for sign, way in _WAYS_OUT.items() if sign in reason.lower())
    return next(ways, otherwise)
