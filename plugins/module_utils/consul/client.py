# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small client of Consul's HTTP API: read keys, and write them only if no other client has.

One connection serves all requests of a client, and no proxy is asked: the agent is on the host itself or near it.
It speaks what Consul 1.8 knew already.
"""

from __future__ import annotations

import base64
import json
import ssl
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils import http_client
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    InvalidInput,
    NoLeader,
    Refused,
    Stranger,
    TooLarge,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.http_client import HttpClient

#: The options of every module that talks to Consul; ``doc_fragments/consul.py`` documents them.
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "consul_host": {"type": "str", "default": "127.0.0.1"},
    "consul_port": {"type": "int", "default": 8500},
    "consul_scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
    "consul_token": {"type": "str", "no_log": True},
    "consul_timeout": {"type": "float", "default": 10.0, "aliases": ["timeout"]},
    "consul_ca_file": {"type": "path"},
    "consul_validate_certs": {"type": "bool", "default": True},
}

#: So much of what Consul says about an error is passed on.
_REASON_LENGTH = 200


#: Consul takes no more operations in one transaction; later versions take twice as many.
TRANSACTION_LIMIT = 64

#: Consul takes no more bytes in one transaction, in which a value is a third longer, unless it is told to.
TRANSACTION_BYTES = 512 * 1024

# Consul's API has no codes: a transaction that fails is a 409 whatever the reason, and a server error a 500.
_STALE = ("index is stale", "failed index check", "doesn't exist")
_DENIED = "Permission denied"
_NO_LEADER = "No cluster leader"
#: What an agent says that was never told of servers, such as one with its package's own configuration.
_NO_SERVERS = "No known Consul servers"


class Entry(t.NamedTuple):
    """A key's value, the index of its last change, which a compare-and-set names, and its writer's 64 bits."""

    value: bytes
    modify_index: int
    flags: int = 0


class Write(t.NamedTuple):
    """Set a key, in a transaction.

    :param modify_index: the index that its last change must have, 0 for a key that must not exist; None: any.
    """

    key: str
    value: bytes
    modify_index: int | None = None
    flags: int = 0


class Delete(t.NamedTuple):
    """Delete a key, in a transaction.

    :param modify_index: the index that its last change must have; None: any, or no key at all.
    """

    key: str
    modify_index: int | None = None


class Check(t.NamedTuple):
    """Carry out the rest of a transaction only if the last change of a key has this index."""

    key: str
    modify_index: int


Operation = t.Union[Write, Delete, Check]


def fits(operations: t.Sequence[Operation]) -> bool:
    """Whether Consul takes all of them in one transaction."""
    return len(_body(operations)) <= TRANSACTION_BYTES


def check_size(operations: t.Sequence[Operation]) -> None:
    """Refuse what Consul would not take in one transaction.

    :raises TooLarge: more bytes than that.
    """
    if not fits(operations):
        names = ", ".join(sorted({operation.key for operation in operations if isinstance(operation, Write)}))
        raise TooLarge(
            f"What is to be stored under {names} is too large for Consul, which takes {TRANSACTION_BYTES} bytes in one "
            f"transaction: {len(_body(operations))} would be sent."
        )


class Consul:
    """A connection to one agent.

    :param token: the ACL token's SecretID; it is sent as a header and never part of a message.
    :param timeout: seconds that a connection or a silence may take.
    :raises InvalidInput: an option that can never work.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str | None = None,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            # http.client would say so too, and print the token.
            raise Refused(
                "consul_token: the token has characters that an HTTP header cannot hold.",
                code=InvalidInput.CODE,
                option="consul_token",
            )
        self._http = HttpClient("Consul", "consul", host, port, timeout, tls)
        self.host = host
        self.port = port
        self._token = token

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any]) -> Consul:
        """Make a client from a module's options, those in :data:`ARGUMENTS`."""
        tls = None
        if options["consul_scheme"] == "https":
            tls = http_client.context("consul", options["consul_ca_file"], options["consul_validate_certs"])
        return cls(
            options["consul_host"], options["consul_port"], options["consul_token"], options["consul_timeout"], tls
        )

    def get(self, key: str) -> Entry | None:
        """Read a key; None where there is none.

        :raises Unreachable: no answer.
        :raises Denied: no permission; :raises NoLeader: no quorum; :raises Stranger: what answers is not Consul.
        """
        status, body = self._request("GET", key)
        if status == 404:
            return None
        try:
            (entry,) = json.loads(body)
            return _entry(entry)
        except (ValueError, TypeError, KeyError):
            raise self._stranger() from None

    def entries(self, folder: str) -> dict[str, Entry]:
        """Read all keys below a folder in one request; empty where there are none.

        Consul leaves out what the token may not read instead of saying so. :meth:`get` says so.

        :raises Unreachable: as :meth:`get`.
        """
        status, body = self._request("GET", folder.rstrip("/") + "/", {"recurse": ""})
        if status == 404:
            return {}
        try:
            return {str(entry["Key"]): _entry(entry) for entry in json.loads(body)}
        except (ValueError, TypeError, KeyError):
            raise self._stranger() from None

    def commit(self, operations: t.Sequence[Operation]) -> dict[str, int] | None:
        """Carry out all operations or none of them, at most :data:`TRANSACTION_LIMIT`.

        :returns: the index of each key that was written; None where the index of an operation is stale, because
            another client was faster.
        :raises TooLarge: more bytes than Consul takes.
        :raises Unreachable: as :meth:`get`; the message says so when the values may have been written all the same.
        """
        check_size(operations)
        status, answer = self._send("PUT", "/v1/txn", _body(operations), accepted=(200, 409))
        try:
            fields = json.loads(answer)
            errors = [str(error["What"]) for error in fields["Errors"] or ()]
            written = {str(result["KV"]["Key"]): int(result["KV"]["ModifyIndex"]) for result in fields["Results"] or ()}
        except (ValueError, TypeError, KeyError):
            raise self._stranger() from None
        if status == 200 and not errors:
            return written
        if any(sign in error for sign in _STALE for error in errors):
            return None
        raise self._answered(status, "; ".join(errors))

    def ask(self, path: str, nothing: t.Collection[int] = ()) -> t.Any:
        """Read anything else that is JSON, such as ``/v1/agent/members``.

        :param nothing: further statuses of an answer that say that there is nothing, which None stands for.
        :raises Unreachable: as :meth:`get`.
        """
        status, body = self._send("GET", path, None, (200, *nothing))
        if status in nothing:
            return None
        try:
            return json.loads(body)
        except ValueError:
            raise self._stranger() from None

    def tell(self, path: str, body: t.Any = None) -> None:
        """Change anything else.

        :raises Unreachable: as :meth:`get`.
        """
        self._send("PUT", path, None if body is None else json.dumps(body).encode())

    def remove(self, path: str) -> None:
        """Remove anything else, such as ``/v1/acl/token/…``; what is not there is none the less removed.

        :raises Unreachable: as :meth:`get`.
        """
        self._send("DELETE", path, None)

    def close(self) -> None:
        """Close the connection; the client can be used again."""
        self._http.close()

    def _request(
        self, method: str, key: str, query: t.Mapping[str, t.Any] | None = None, body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Send one request to the KV store and return its status (200 or 404) and its body."""
        path = "/v1/kv/" + urllib.parse.quote(key, safe="/")
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self._send(method, path, body)

    def _send(
        self, method: str, path: str, body: bytes | None, accepted: t.Collection[int] = (200,)
    ) -> tuple[int, bytes]:
        headers = {"X-Consul-Token": self._token} if self._token else {}
        status, answer, reason = self._http.send(method, path, body, headers)
        if status in accepted or (status == 404 and method == "GET" and not answer.strip()):
            return status, answer
        raise self._answered(status, answer.decode("utf-8", "replace").strip() or reason)

    def _answered(self, status: int, said: str) -> Unreachable:
        """What to raise for an answer that is an error: what Consul says, on one line, cut, and without the token."""
        kind: type[Unreachable] = UnexpectedAnswer
        if status in (401, 403) or _DENIED in said:
            kind = Denied
        elif _NO_LEADER in said:
            kind = NoLeader
        elif _NO_SERVERS in said:
            kind = Unreachable
        said = " ".join(said.split())
        said = (said.replace(self._token, "********") if self._token else said)[:_REASON_LENGTH]
        return kind("Consul", self.host, self.port, f"it answered {status} ({said})")

    def _stranger(self) -> Stranger:
        return Stranger("Consul", self.host, self.port, "what answers there is not Consul")

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


def _entry(fields: t.Mapping[str, t.Any]) -> Entry:
    value = base64.b64decode(fields["Value"] or "", validate=True)
    return Entry(value, int(fields["ModifyIndex"]), int(fields.get("Flags") or 0))


def _body(operations: t.Sequence[Operation]) -> bytes:
    return json.dumps([{"KV": _operation(operation)} for operation in operations]).encode()


def _operation(operation: Operation) -> dict[str, t.Any]:
    if isinstance(operation, Check):
        return {"Verb": "check-index", "Key": operation.key, "Index": operation.modify_index}
    if isinstance(operation, Delete):
        if operation.modify_index is None:
            return {"Verb": "delete", "Key": operation.key}
        return {"Verb": "delete-cas", "Key": operation.key, "Index": operation.modify_index}
    fields: dict[str, t.Any] = {
        "Verb": "set",
        "Key": operation.key,
        "Value": base64.b64encode(operation.value).decode(),
        "Flags": operation.flags,
    }
    if operation.modify_index is not None:
        fields.update(Verb="cas", Index=operation.modify_index)
    return fields
