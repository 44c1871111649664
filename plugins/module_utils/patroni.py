# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small client of Patroni's REST API: who leads a PostgreSQL cluster, and what its members are told to do.

It speaks what Patroni 3.0 knew already. Reads need no login; whatever changes something needs the one that Patroni's
configuration has under ``restapi: authentication``.
"""

from __future__ import annotations

import base64
import json
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils import http_client
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Conflict,
    Denied,
    Refused,
    Stranger,
    UnexpectedAnswer,
)

#: The options of every module that talks to Patroni; ``doc_fragments/patroni.py`` documents them.
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "patroni_host": {"type": "str"},
    "patroni_port": {"type": "int", "default": 8008},
    "patroni_scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
    "patroni_user": {"type": "str"},
    "patroni_password": {"type": "str", "no_log": True},
    "patroni_timeout": {"type": "float", "default": 10.0},
    "patroni_ca_file": {"type": "path"},
    "patroni_cert_file": {"type": "path"},
    "patroni_key_file": {"type": "path", "no_log": False},
    "patroni_validate_certs": {"type": "bool", "default": True},
}

#: What a member that takes writes is called: today, and until Patroni 4 in places.
LEADERS = ("leader", "master", "primary")
#: What a replica is called whose answer the leader waits for.
SYNCHRONOUS = ("sync_standby", "quorum_standby")
#: States of a replica that receives what its leader writes.
FOLLOWING = ("streaming", "running", "in archive recovery")

#: So much of what Patroni says about an error is passed on.
_REASON_LENGTH = 300


class Member(t.NamedTuple):
    """A member of a cluster, as Patroni sees it.

    :param role: ``leader``, ``standby_leader``, ``sync_standby``, ``quorum_standby`` or ``replica``.
    :param state: such as ``running``, ``streaming``, ``stopped``, ``start failed`` or ``creating replica``.
    :param timeline: None while it does not run.
    :param lag: bytes that a replica is behind its leader; None for the leader, and where it is not known.
    :param pending_restart: whether a setting waits for its restart.
    :param api: where its own REST API is, as a URL.
    """

    name: str
    host: str
    port: int
    role: str
    state: str
    timeline: int | None = None
    lag: int | None = None
    pending_restart: bool = False
    tags: t.Mapping[str, t.Any] = {}
    api: str = ""

    @property
    def leads(self) -> bool:
        """Whether it has the cluster's leader key."""
        return self.role in LEADERS


class Cluster(t.NamedTuple):
    """A cluster, as one of its members sees it.

    :param scope: its name; empty where that member does not say.
    :param paused: whether Patroni was told to change nothing by itself.
    """

    scope: str
    members: tuple[Member, ...]
    paused: bool = False

    @property
    def leader(self) -> Member | None:
        """The member that has the leader key."""
        return next((member for member in self.members if member.leads), None)

    def member(self, name: str) -> Member | None:
        """Return a member by its name."""
        return next((member for member in self.members if member.name == name), None)


class Patroni:
    """A connection to one member's Patroni.

    :param password: of the login for what changes something; it is sent as a header and never part of a message.
    :param timeout: seconds that a connection or a silence may take.
    :raises InvalidInput: an option that can never work.
    """

    def __init__(
        self,
        host: str,
        port: int = 8008,
        user: str | None = None,
        password: str | None = None,
        timeout: float = 10.0,
        tls: t.Any = None,
    ) -> None:
        self._http = http_client.HttpClient("Patroni", "patroni", host, port, timeout, tls)
        self._timeout, self._tls = timeout, tls
        self._headers = {"Content-Type": "application/json"}
        if user:
            login = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any]) -> Patroni | None:
        """Make a client from a module's options, those in :data:`ARGUMENTS`; None without ``patroni_host``."""
        if not options["patroni_host"]:
            return None
        tls = None
        if options["patroni_scheme"] == "https":
            tls = http_client.context(
                "patroni",
                options["patroni_ca_file"],
                options["patroni_validate_certs"],
                options["patroni_cert_file"],
                options["patroni_key_file"],
            )
        return cls(
            options["patroni_host"],
            options["patroni_port"],
            options["patroni_user"],
            options["patroni_password"],
            options["patroni_timeout"],
            tls,
        )

    def beside(self, member: Member, timeout: float | None = None) -> Patroni:
        """Return a client of another member, who is the same to it as this one; TLS stays as it is.

        :param timeout: another one.

        :raises Stranger: the cluster does not say where the member is.
        """
        try:
            place = urllib.parse.urlsplit(member.api)
            host, port = place.hostname, place.port
        except ValueError:
            host = port = None
        if not host or not port:
            raise self._stranger()
        other = Patroni(host, port, timeout=timeout or self._timeout, tls=self._tls)
        other._headers = self._headers
        return other

    def cluster(self) -> Cluster:
        """Return the cluster's members as this one sees them.

        :raises Unreachable: no answer; :raises Stranger: what answers is not Patroni.
        """
        fields = self._read("/cluster")
        try:
            members = tuple(_member(member) for member in fields["members"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._stranger() from None
        return Cluster(str(fields.get("scope") or ""), members, fields.get("pause") is True)

    def itself(self) -> dict[str, t.Any]:
        """Return what this member says of itself: ``state``, ``role``, ``server_version``, ``patroni``, and more."""
        return self._read("/patroni", accepted=(200, 503))

    def settings(self) -> dict[str, t.Any]:
        """Return the dynamic configuration, which all members share."""
        return self._read("/config")

    def change_settings(self, changes: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Change the dynamic configuration, and return it; a value of None removes its key.

        :raises Conflict: another client changed it at that moment; :raises Denied: the login is missing or wrong;
        :raises Refused: Patroni does not take the change.
        """
        return self._object(self._tell("PATCH", "/config", changes))

    def wake(self) -> None:
        """Have this member look at its cluster now, rather than up to ``loop_wait`` later.

        A change that changes nothing does that. A replica that has no leader to watch would sleep.
        """
        self._tell("PATCH", "/config", {"wake": None})

    def reload(self) -> None:
        """Let this member read its configuration file again."""
        self._tell("POST", "/reload", {}, accepted=(200, 202))

    def restart(self, timeout: float | None = None) -> str:
        """Restart this member's PostgreSQL, and return what Patroni says about it; no answer comes before it is done.

        :param timeout: seconds that it may take; a leader that takes longer loses the lead.
        :raises Refused: it did not restart.
        """
        body = {} if timeout is None else {"timeout": timeout}
        return self._tell("POST", "/restart", body, accepted=(200, 202))

    def switch_over(self, leader: str, candidate: str | None = None) -> str:
        """Hand the lead to another member, and return what Patroni says about it.

        :raises Refused: it does not do so.
        """
        body = {"leader": leader, **({"candidate": candidate} if candidate else {})}
        return self._tell("POST", "/switchover", body, accepted=(200, 202))

    def reinitialize(self) -> str:
        """Make this member copy its leader again; its data directory is removed."""
        return self._tell("POST", "/reinitialize", {"force": True}, accepted=(200, 202))

    def close(self) -> None:
        """Close the connection; the client can be used again."""
        self._http.close()

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self._http.host, self._http.port

    def _read(self, path: str, accepted: t.Collection[int] = (200,)) -> dict[str, t.Any]:
        status, body, reason = self._http.send("GET", path, None, self._headers)
        if status not in accepted:
            raise self._answered(status, body, reason)
        return self._object(body.decode("utf-8", "replace"))

    def _tell(self, method: str, path: str, body: t.Any, accepted: t.Collection[int] = (200,)) -> str:
        status, answer, reason = self._http.send(method, path, json.dumps(body).encode(), self._headers)
        if status not in accepted:
            raise self._answered(status, answer, reason)
        return answer.decode("utf-8", "replace").strip()

    def _object(self, text: str) -> dict[str, t.Any]:
        try:
            found = json.loads(text)
        except ValueError:
            raise self._stranger() from None
        if not isinstance(found, dict):
            raise self._stranger()
        return found

    def _answered(self, status: int, body: bytes, reason: str) -> Exception:
        """What to raise for an answer that is an error: what Patroni says, on one line, cut."""
        said = " ".join(body.decode("utf-8", "replace").split())[:_REASON_LENGTH]
        if not said or said.startswith("<"):  # A page for browsers says no more.
            said = reason
        if status in (401, 403):
            return Denied("Patroni", *self.place, f"it answered {status} ({said}); see patroni_user, patroni_password")
        if status == 409:
            return Conflict(f"Patroni on {self._http.host} refused, as another change was made: {said.rstrip('.')}.")
        if status in (400, 412, 503):
            return Refused(f"Patroni on {self._http.host} refused: {said.rstrip('.')}.", host=self._http.host)
        return UnexpectedAnswer("Patroni", *self.place, f"it answered {status} ({said})")

    def _stranger(self) -> Stranger:
        return Stranger("Patroni", *self.place, "what answers there is not Patroni")


def _member(fields: t.Mapping[str, t.Any]) -> Member:
    lag, timeline = fields.get("lag"), fields.get("timeline")
    return Member(
        str(fields["name"]),
        str(fields.get("host") or ""),
        int(fields.get("port") or 0),
        str(fields["role"]),
        str(fields.get("state") or "unknown"),
        timeline if isinstance(timeline, int) else None,
        # A replica that does not say has the text "unknown".
        lag if isinstance(lag, int) else None,
        bool(fields.get("pending_restart")),
        fields.get("tags") or {},
        str(fields.get("api_url") or ""),
    )
