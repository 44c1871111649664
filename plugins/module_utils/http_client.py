# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to a server that speaks HTTP, such as Consul's agent or Patroni; no proxy is asked."""

from __future__ import annotations

import http.client
import socket
import ssl
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Unreachable

#: In seconds. Sockets refuse what is very much longer, and what is no number at all.
_LONGEST_TIMEOUT = 86400
_READS = ("GET", "HEAD", "OPTIONS")


def context(prefix: str, ca_file: str | None, validate: bool, cert: str | None = None, key: str | None = None) -> t.Any:
    """Return what a connection with TLS trusts and shows.

    :param prefix: what the names of the options begin with, such as ``consul``.
    :raises InvalidInput: a file that cannot be used.
    """
    try:
        found = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{prefix}_ca_file", ca_file, f"cannot be used: {error}") from error
    if cert:
        try:
            found.load_cert_chain(cert, key)
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{prefix}_cert_file", cert, f"cannot be used: {error}") from error
    if not validate:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    return found


class HttpClient:
    """A connection that is opened with the first request and kept for the next ones.

    :param what: the server's name in messages, such as ``Consul``.
    :param prefix: what the names of the options begin with, such as ``consul``.
    :param timeout: seconds that a connection or a silence may take.
    :raises InvalidInput: an option that can never work.
    """

    def __init__(
        self, what: str, prefix: str, host: str, port: int, timeout: float, tls: ssl.SSLContext | None = None
    ) -> None:
        if not 1 <= port <= 65535:
            raise InvalidInput(f"{prefix}_port", port, "is not a port")
        if not 0 < timeout <= _LONGEST_TIMEOUT:
            reason = f"is not a number of seconds between 0 and {_LONGEST_TIMEOUT}"
            raise InvalidInput(f"{prefix}_timeout", timeout, reason)
        self.what, self.host, self.port, self.timeout = what, host, port, timeout
        self._connection: http.client.HTTPConnection
        try:
            if tls is None:
                self._connection = http.client.HTTPConnection(host, port, timeout=timeout)
            else:
                self._connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
        except http.client.InvalidURL:
            raise InvalidInput(f"{prefix}_host", host, "is not the name or address of a host") from None

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: t.Mapping[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """Send one request; returns the status, the body, and the words beside the status.

        :raises Unreachable: no answer; the sentence says so when a change may have been carried out all the same.
        """
        sent = False
        try:
            self._connection.request(method, path, body, dict(headers or {}))
            sent = True
            response = self._connection.getresponse()
            return response.status, response.read(), response.reason
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            doubt = "; whether it was carried out is not known" if sent and method not in _READS else ""
            raise Unreachable(self.what, self.host, self.port, f"{self._reason(error)}{doubt}") from error

    def close(self) -> None:
        """Close the connection; the client can be used again."""
        self._connection.close()

    def _reason(self, error: Exception) -> str:
        """Say what went wrong without the class names that only a programmer knows."""
        if isinstance(error, socket.timeout):
            return f"no answer within {self.timeout:g} s"
        if isinstance(error, (UnicodeError, http.client.InvalidURL)):
            return "this is not the name of a host"
        if isinstance(error, http.client.RemoteDisconnected):
            return "it closed the connection without an answer"
        if isinstance(error, http.client.HTTPException):
            return "what answers there does not speak HTTP"
        return str(getattr(error, "strerror", None) or error).rstrip(".")
