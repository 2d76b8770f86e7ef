"""URLs of databases without their passwords."""

import sqlalchemy as sa


def masked(url: str) -> str:
    """Returns the URL of a database without its passwords."""
    parsed = sa.make_url(url)
    secret = {name: "hidden" for name in parsed.query if "pass" in name.lower()}
    return parsed.update_query_dict(secret).render_as_string(hide_password=True)


def without_password(text: str, url: str) -> str:
    """Returns a text that holds the URL of a database, such as a recipe, without its passwords."""
    if masked(url) == url or url in text:
        return text.replace(url, masked(url))
    return f"# Not copied: the password of its store {masked(url)} is spelled in escapes.\n"
