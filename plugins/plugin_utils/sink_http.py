# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One POST, to a server that is verified, without following where else it points to."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import typing as t
import urllib.parse
from collections.abc import Mapping

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    InvalidInput,
    ScaleoutError,
    Stranger,
    UnexpectedAnswer,
    Unreachable,
)

_LARGEST_ANSWER = 1024 * 1024


class Target(t.NamedTuple):
    """Where to post to.

    :param what: what stands there, for messages, such as ``AWX``.
    :param ca_file: who may have signed its certificate, as PEM; the system's own where it is empty.
    :param timeout: seconds to connect, and seconds for the answer.
    """

    what: str
    url: str
    ca_file: str
    timeout: float


def check(option: str, url: str) -> None:
    """Refuse a URL that nothing secret may be sent to.

    :raises InvalidInput: it is neither HTTPS nor on this machine.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        # A request has no other characters, and a name has no labels that are empty or longer than 63 of them.
        usable = usable and _is_plain(url)
        str(parts.hostname).encode("idna")
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.scheme not in ("http", "https"):
        raise InvalidInput(option, _shown(url), "is not a URL such as https://awx.example.com")
    if parts.scheme == "http" and not _is_here(str(parts.hostname)):
        raise InvalidInput(option, _shown(url), "begins with http://, which anyone on the way can read; use https://")


def check_token(option: str, token: str) -> None:
    """Refuse a token that no header can hold: an error of the library that sends it would repeat it.

    :raises InvalidInput: it is empty, or has a space, the end of a line or another such character.
    """
    if not token or not _is_plain(token):
        text = f"{option}: is no token; it is empty, or has a space, the end of a line or a letter beyond ASCII."
        raise ScaleoutError(text, code=InvalidInput.CODE, option=option)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _shown(url: str) -> str:
    """Return a URL without the password that it may hold."""
    return url.rpartition("@")[2]


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> t.Any:
    """Post JSON and return what the answer holds as JSON, None where it holds none.

    :raises Denied: the server refuses the login.
    :raises UnexpectedAnswer: it refuses the request, or sends elsewhere.
    :raises Unreachable: it does not answer.
    """
    parts = urllib.parse.urlsplit(target.url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    where = (target.what, host, port)
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    connection: http.client.HTTPConnection | None = None
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=target.ca_file or None)
            connection = http.client.HTTPSConnection(host, port, timeout=target.timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=target.timeout)
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        status, text = answer.status, answer.read(_LARGEST_ANSWER)
    except TimeoutError:
        raise Unreachable(*where, f"no answer within {target.timeout:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Stranger(*where, f"its certificate is not valid ({error.verify_message})") from None
    except OSError as error:
        raise Unreachable(*where, error.strerror or type(error).__name__) from None
    except http.client.HTTPException:
        raise Stranger(*where, "what answers does not speak HTTP") from None
    finally:
        if connection:
            connection.close()
    # What an answer says may repeat what was sent; its status does not.
    if status in (401, 403):
        raise Denied(*where, f"it refuses the login (HTTP {status})")
    if not 200 <= status < 300:
        raise UnexpectedAnswer(*where, f"it answered HTTP {status} to POST {path.partition('?')[0]}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
