# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul's member on this host, and the services that are registered with it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils.services import consul
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    Driver,
    ask,
    in_place,
    run,
)
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import RELOAD


def validate(staged: t.Mapping[str, str]) -> str:
    """Have Consul check its whole folder as it is going to be.

    It reads files by their suffix, and those that wait have another one, so it gets copies under the right names.
    """
    if not staged:
        return ""
    folder = tempfile.mkdtemp(prefix="scaleout-consul-")
    try:
        present = [os.path.join(consul.FOLDER, name) for name in sorted(os.listdir(consul.FOLDER))]
        sources = {path: path for path in present if path.endswith((".json", ".hcl")) and os.path.isfile(path)}
        sources.update(staged)
        copies = {path: os.path.join(folder, os.path.basename(path)) for path in sources}
        for path, source in sources.items():
            shutil.copyfile(source, copies[path])
        done = run(["consul", "validate", folder], timeout=ACTIVATE_TIMEOUT)
        return in_place(done.said, copies) if done.status else ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _document(path: str) -> dict[str, t.Any] | None:
    """Read a file of ours; None where there is none, empty where it is none of ours."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


class Api:
    """The agent on this host.

    :param token: the ACL token; it travels as a header and stands in no message.
    """

    def __init__(self, token: str) -> None:
        self._headers = {"X-Consul-Token": token}

    def send(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return the status and the text of an answer; 0 and the reason where there is none."""
        return ask(consul.API + path, method, self._headers, timeout=5)

    def get(self, path: str) -> tuple[int, t.Any]:
        """Return the status of an answer and what it holds; None for what is no JSON."""
        status, text = self.send(path)
        try:
            return status, json.loads(text) if status else None
        except ValueError:
            return status, None


class Registration(Driver):
    """A service of this host as its agent knows it; the file on the disk says how it should.

    ``options``: ``id``, the instance. ``secrets``: ``token``, one that may register services and reload the agent.
    The agent is the business of another transaction: this one has no units.
    """

    def __init__(self, *arguments: t.Any) -> None:
        super().__init__(*arguments)
        self._id = str(self.options["id"])
        self._api = Api(str(self.secrets["token"]))

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Have Consul check the definition together with all others."""
        return validate(staged)

    def _judge(self) -> tuple[int, str]:
        """Return the status of the agent's answer, and what is wrong with it."""
        wanted = _document(consul.service_file(self._id))
        status, known = self._api.get(f"/v1/agent/service/{urllib.parse.quote(self._id, safe='')}")
        return status, consul.fault_of_registration(wanted, status, known)

    def drift(self) -> str:
        """Say that a reload is due where the agent has the service otherwise.

        An agent that cannot tell, since no leader tells it what the token may do, has read the file when it started.
        """
        status, fault = self._judge()
        return RELOAD if fault and status != 500 else "none"

    def activate(self, level: str) -> str:
        """Have the agent read its files again; it says what it does not take."""
        status, text = self._api.send("/v1/agent/reload", "PUT")
        if status == 200:
            return ""
        if status:
            # Without a leader the agent does not know the token. A signal needs none.
            run(["systemctl", "reload", "consul.service"], timeout=ACTIVATE_TIMEOUT)
        return " ".join(text.split())[:300]

    def ailments(self) -> list[str]:
        """Say how the agent has the service otherwise than its file."""
        fault = self._judge()[1]
        return [fault] if fault else []

    def last_words(self) -> str:
        """What the agent answered to the reload says more than its log."""
        return ""
