# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a host the one that runs playbooks: its copy of the project, its key, and the hosts that let it in.

Copies of the project lie side by side, with a link to the one in force, so that a playbook that runs ends with the
files that it began with.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pwd
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.pack_project import EXCLUDED
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import VERSION_LENGTH, digest
from ansible_collections.scaleout.platform.plugins.module_utils.services.control import Reached, known_hosts

#: What to do, in this order.
UNPACK, LINK, SETTINGS, KEY, TRUST = "unpack", "link", "settings", "key", "trust"

#: Copies that are kept: the one in force, and those that a playbook may still run with.
_KEPT = 3
_CONNECT_TIMEOUT = 5
_KEY_TIMEOUT = 60
#: So many hosts are asked at the same time.
_AT_ONCE = 20


class ControlNode(Task):
    """Keeps all below one folder, which only the account that runs playbooks can read.

    :param params: the options of the module ``control_node``.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params
        self._home: str = params["path"]
        if not os.path.isabs(self._home):
            raise InvalidInput("path", self._home, "must begin with a slash")
        if not params["digest"] or not isinstance(params["variables"], str):
            raise InvalidInput(
                "digest", params["digest"], "is set by the part of the module that runs on the controller"
            )
        self._version: str = params["digest"][:VERSION_LENGTH]
        self._hosts = [Reached(host["name"], host["address"], host["port"], host["user"]) for host in params["hosts"]]
        self._keys: dict[str, t.Any] = params["host_keys"] or {}

    # Places

    def _at(self, *parts: str) -> str:
        return os.path.join(self._home, *parts)

    @property
    def _release(self) -> str:
        return self._at("releases", self._version)

    @property
    def _key(self) -> str:
        return self._at("ssh", "id_ed25519")

    @property
    def _secrets(self) -> dict[str, str | None]:
        """The files beside the project, by path; None for one that must not be there."""
        return {
            self._at("variables.yml"): self._params["variables"],
            self._at("vault-password"): self._params["vault_password"] or None,
        }

    # What is there, and what is to be done

    def plan(self) -> Plan:
        there = self._is_whole()
        link = self._linked()
        key = _text(f"{self._key}.pub")
        trusted = _text(self._at("ssh", "known_hosts")) or ""
        todo = {
            UNPACK: not there,
            LINK: link != self._version,
            SETTINGS: any(_text(path) != text for path, text in self._secrets.items()),
            KEY: key is None,
            # Whoever has just opened hosts wants to know whether they are open.
            TRUST: bool(self._params["opened"]),
        }
        return Plan(
            before={"project": link, "settings": not todo[SETTINGS], "key": key is not None},
            after={"project": self._version, "settings": True, "key": True},
            actions=tuple(action for action, due in todo.items() if due),
            result={
                "version": self._version,
                "missing": not there,
                "public_key": (key or "").strip(),
                "closed": [] if self._params["opened"] else self._closed(key is not None and bool(trusted)),
            },
        )

    def _is_whole(self) -> bool:
        """Whether the copy is there, and is what was brought."""
        if not os.path.isdir(self._release):
            return False
        found = digest(files.scan(self._release, EXCLUDED, unpacked=True))
        return found == str(self._params["digest"])

    def _linked(self) -> str | None:
        try:
            return os.path.basename(os.readlink(self._at("current")))
        except OSError:
            return None

    # Carrying it out

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        account = self._account()
        for folder in (self._home, self._at("releases"), self._at("ssh")):
            os.makedirs(folder, 0o700, exist_ok=True)
            _give(folder, account)
        steps: dict[str, t.Callable[[], None]] = {
            UNPACK: lambda: self._unpack(account),
            LINK: self._link,
            SETTINGS: lambda: self._write_settings(account),
            KEY: lambda: self._make_key(account),
            TRUST: lambda: self._trust(account),
        }
        for action in plan.actions:
            steps[action]()
        closed = self._closed()
        if self._params["opened"] and closed:
            what = ", ".join(f"{host['name']} ({host['reason']})" for host in closed)
            raise Refused(f"The control node cannot log in to {what}.", code="not_admitted", closed=closed)
        return {"public_key": (_text(f"{self._key}.pub") or "").strip(), "closed": closed}

    def _account(self) -> pwd.struct_passwd:
        try:
            return pwd.getpwnam(self._params["owner"])
        except KeyError:
            name = self._params["owner"]
            raise Refused(f"The host has no account {name}, which is to run playbooks.", code="no_account") from None

    def _unpack(self, account: pwd.struct_passwd) -> None:
        if not self._params["archive"]:
            raise Refused(f"{self._release} is not on this host, and no archive was given.", code="no_archive")
        files.remove_tree(self._release)
        files.unpack(self._params["archive"], self._release, self._params["digest"])
        for folder, _folders, names in os.walk(self._release):
            _give(folder, account)
            for name in names:
                _give(os.path.join(folder, name), account)

    def _link(self) -> None:
        fresh = self._at(".current")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        os.symlink(f"releases/{self._version}", fresh)
        os.replace(fresh, self._at("current"))
        old = sorted(os.listdir(self._at("releases")), key=lambda name: os.stat(self._at("releases", name)).st_mtime)
        for name in [name for name in old if name != self._version][: 1 - _KEPT]:
            files.remove_tree(self._at("releases", name))

    def _write_settings(self, account: pwd.struct_passwd) -> None:
        for path, text in self._secrets.items():
            if text is None:
                files.remove_tree(path)
            else:
                _write(path, text, account)

    def _make_key(self, account: pwd.struct_passwd) -> None:
        files.remove_tree(self._key)
        comment = f"{self._params['owner']}@{os.uname().nodename}"
        done = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", self._key], _KEY_TIMEOUT)
        if done.status:
            raise Refused(f"ssh-keygen made no key: {done.said}.", code="missing_command")
        for path in (self._key, f"{self._key}.pub"):
            _give(path, account)

    def _trust(self, account: pwd.struct_passwd) -> None:
        path = self._at("ssh", "known_hosts")
        _write(path, known_hosts(_text(path) or "", self._hosts, self._keys), account)

    # Whom it reaches

    def _closed(self, has_key: bool = True) -> list[dict[str, t.Any]]:
        """Return the hosts that do not let it in, each with the reason."""
        if not has_key:
            return [{**host._asdict(), "reason": "it has no key yet"} for host in self._hosts]
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            reasons = list(pool.map(self._why_closed, self._hosts))
        return [{**host._asdict(), "reason": why} for host, why in zip(self._hosts, reasons) if why]

    def _why_closed(self, host: Reached) -> str:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(_CONNECT_TIMEOUT),
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self._at("ssh", "known_hosts"),
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        login = ["-i", self._key, "-p", str(host.port), "-l", host.user, "--", host.address, "true"]
        done = run(["ssh", "-F", "none", *words, *login], 3 * _CONNECT_TIMEOUT)
        return done.said.rstrip(".") if done.status else ""


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, text: str, account: pwd.struct_passwd) -> None:
    """Write a file that no other account can read, at no moment."""
    fresh = f"{path}.new"
    files.remove_tree(fresh)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    _give(fresh, account)
    os.replace(fresh, path)


def _give(path: str, account: pwd.struct_passwd) -> None:
    """Let the account have a file or folder, and no other one."""
    mode = os.stat(path).st_mode & 0o700
    os.chmod(path, mode)
    os.chown(path, account.pw_uid, account.pw_gid)
