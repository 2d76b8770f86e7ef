"""Reasons of downloads that failed, in words that tell a user what to do."""

import re
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException

import requests
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import ProtocolError

_LONGEST = 80  # characters of what a host or a library said

_TOLD: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (requests.exceptions.ContentDecodingError,),
        "what the host sent is not compressed as it says",
    ),
    (
        (requests.TooManyRedirects,),
        "the host sends from one address to the next without end",
    ),
    ((socket.gaierror,), "the name of the host is unknown here, perhaps for want of a network"),
    ((requests.Timeout, TimeoutError), "nothing came for {seconds} seconds"),
    ((ConnectionRefusedError,), "the host refused the connection"),
    (
        (ConnectionError, requests.exceptions.ChunkedEncodingError),
        "the connection broke before all of it had come",
    ),
)


def reason(error: Exception, url: str, seconds: float) -> str:
    """Returns why a file could not be had, as part of a sentence.

    Args:
        error: of the request.
        url: that was asked for.
        seconds: how long the host might send nothing.
    """
    if isinstance(error, requests.HTTPError) and error.response is not None:
        said = f"{error.response.status_code} {_short(error.response.reason or '')}"
        return f"the host answered {said}".rstrip()
    if isinstance(error, requests.exceptions.ProxyError):
        asked = str(error.request.url) if error.request is not None else url
        proxy = str(select_proxy(asked, get_environ_proxies(asked)))
        return f"the proxy {without_password(proxy)} cannot be reached, or does not let it through"
    causes = tuple(_causes(error))
    for kinds, told in _TOLD:
        if any(isinstance(cause, kinds) for cause in causes):
            return told.format(seconds=seconds)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the host's certificate is not trusted here ({_short(cause.verify_message)})"
    said = _short(str(causes[-1])) or type(causes[-1]).__name__
    if any(isinstance(cause, (ValueError, HTTPException, ProtocolError)) for cause in causes):
        return f"the address, or what the host answered, makes no sense ({said})"
    system = [one.strerror for one in causes if isinstance(one, OSError) and one.strerror]
    return f"no connection came about ({_short(system[-1]) if system else said})"


def without_password(text: str) -> str:
    """Returns a text whose URLs hold neither user nor password."""
    return re.sub(r"(\w+://|^)[^\s/]*@", r"\1", text)


def _short(text: str) -> str:
    """Shortens a text to a part of a sentence."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(without_password(printable).split())[:_LONGEST].rstrip(". ")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
