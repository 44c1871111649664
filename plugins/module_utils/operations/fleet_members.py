# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which members Consul's records desire; those seen last when Consul does not say."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    InvalidInput,
    ScaleoutError,
    Stranger,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.members import record as records_of
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import InvalidRecord, Record

#: Where Consul listens, by the scheme.
PORTS = {"http": 8500, "https": 8501}

#: The client's options that the door has under a shorter name.
CLIENT_OPTIONS = ("consul_token", "consul_timeout", "consul_ca_file", "consul_validate_certs")

#: What counts when Consul does not say: nothing, the records seen last, or those and else the inventory as it is.
FAIL, CACHED, STATIC = "fail", "cached", "static"

Records = dict[str, Record]
Server = dict[str, t.Any]
"""The scheme, host and port of a Consul, as the client's options."""

_ORDINARY = (Unreachable.CODE, Stranger.CODE)
"""Before a platform is there, nothing answers, or something else does. Any other answer tells of a Consul."""


class MembersUnknown(ScaleoutError):
    """Nothing says which hosts there should be. A run that took the inventory's would forget those that serve."""

    CODE = "members_unknown"


@dataclasses.dataclass
class Answer:
    """What counts.

    :param records: of the groups that have one.
    :param warnings: sentences for every reader.
    :param remarks: sentences for who asks for more.
    """

    records: Records = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of whom.

    :param groups: those that a record may govern.
    :param servers: asked one after the other until one answers.
    :param expected: whether a Consul is said to exist, so that none is worth a warning.
    :param prefix: the folder of the records.
    :param client: the other options of the client, :data:`CLIENT_OPTIONS`.
    :param cache: the file that keeps the records seen last; empty for none.
    :param cache_name: what people call it.
    :param inventory: the name of the inventory's folder. A file that was copied with an inventory is not its own.
    :param when_unreachable: :data:`FAIL`, :data:`CACHED` or :data:`STATIC`.
    :param token_source: a sentence that says where the token comes from, for a Consul that refuses it.
    """

    groups: t.Sequence[str]
    servers: t.Sequence[Server]
    expected: bool
    prefix: str
    client: t.Mapping[str, t.Any]
    cache: str = ""
    cache_name: str = ""
    when_unreachable: str = CACHED
    token_source: str = ""
    inventory: str = ""


def check_groups(groups: t.Sequence[str]) -> None:
    """Refuse what can be no group with members.

    :raises InvalidInput: naming it.
    """
    for name in groups:
        fault = records_of.fault_of_group(name) or ("is Ansible's own" if name in ("all", "ungrouped") else None)
        if fault:
            raise InvalidInput("groups", name, fault)


def server_at(url: str) -> Server:
    """Return the server of a URL.

    :raises InvalidInput: it is none, or says more than where Consul is.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        parts, port = urllib.parse.SplitResult("", "", "", "", ""), 0
    if not parts.hostname or parts.username or parts.path not in ("", "/") or parts.query:
        raise InvalidInput("consul_url", url, "is not a URL such as http://192.0.2.61:8500")
    return {"consul_scheme": parts.scheme, "consul_host": parts.hostname, "consul_port": port}


def ask(question: Question) -> Answer:
    """Return the records that count: Consul's, or those seen last, or none.

    :raises InvalidInput: an option of the client that can never work.
    :raises MembersUnknown: Consul does not say, and what else counts is not there.
    """
    answer = Answer()
    cached, seen = _read_cache(question, answer)
    trouble: list[ScaleoutError] = []
    if not question.servers:
        trouble.append(ScaleoutError("The inventory names no server of Consul.", code="no_server"))
    for server in question.servers:
        try:
            answer.records = _ask(question, server)
        except (Unreachable, InvalidRecord) as error:
            trouble.append(error)
        else:
            kept = _keep_gone(question, answer, cached, seen)
            _write_cache(question, answer, seen if kept else "")
            return answer
    _do_without(question, answer, cached, seen, trouble)
    return answer


def _keep_gone(question: Question, answer: Answer, cached: Records, seen: str) -> bool:
    """Let records that Consul has lost count. Nothing of ours deletes one, so it is another Consul, or an empty one."""
    gone = {group: cached[group] for group in cached if group not in answer.records}
    if not gone:
        return False
    names = ", ".join(sorted(gone))
    told = f"Consul has no record of {names}, and had one at {seen}."
    if question.when_unreachable == FAIL:
        raise MembersUnknown(f"{told} {_made_new(question)}", groups=sorted(gone))
    answer.records = {**answer.records, **gone}
    answer.warnings.append(f"{told} The members seen then are used. {_made_new(question)}")
    return True


def _made_new(question: Question) -> str:
    return f"If the platform was made new, delete the file {question.cache_name}."


def _do_without(
    question: Question, answer: Answer, cached: Records, seen: str, trouble: t.Sequence[ScaleoutError]
) -> None:
    """Settle what counts when no Consul says it."""
    reasons = " ".join(error.message for error in trouble)
    if question.token_source and any(error.code == Denied.CODE for error in trouble):
        reasons = f"{reasons} {question.token_source}"
    unknown = f"{reasons} The members of {', '.join(question.groups)} are unknown"
    if question.when_unreachable == FAIL:
        raise MembersUnknown(f"{unknown}, and when_unreachable is fail.")
    # A record that cannot be read is one that there is.
    recorded = any(error.code == InvalidRecord.CODE for error in trouble)
    if not cached and (recorded or (question.when_unreachable == CACHED and not seen)):
        there = recorded or any(error.code == Denied.CODE for error in trouble)
        hint = "For the first run of a new platform, set when_unreachable to static (SCALEOUT_WHEN_UNREACHABLE=static)."
        raise MembersUnknown(f"{unknown}: Consul was never seen from here.{'' if there else f' {hint}'}")
    answer.records = cached
    ordinary = not question.expected and all(error.code in _ORDINARY for error in trouble)
    if cached:
        answer.warnings.append(f"{reasons} The members seen at {seen} are used: {', '.join(sorted(cached))}.")
    elif seen:
        answer.warnings.append(f"{reasons} The inventory is used as it is: at {seen} there was no record.")
    else:
        said = answer.remarks if ordinary else answer.warnings
        said.append(f"{reasons} The inventory is used as it is.")


def _ask(question: Question, server: Server) -> Records:
    consul = Consul.from_options({**server, **question.client})
    prefix = question.prefix.strip("/")
    try:
        folder = documents.read_folder(consul, prefix)
        found = {}
        for group in question.groups:
            key = f"{prefix}/{group}"
            # Consul hides what a token may not read, and a record that is hidden is not one that is missing.
            document = folder.get(key) or documents.read(consul, key)
            if document:
                found[group] = _checked(records_of.decode, document.text, group, f"The key {key} in Consul")
        return found
    finally:
        consul.close()


def _checked(reader: t.Callable[[t.Any, str], Record], source: t.Any, group: str, where: str) -> Record:
    try:
        return reader(source, group)
    except InvalidRecord as error:
        raise InvalidRecord(f"{where} is not a record of members: {error.message}") from None


# The records seen last


def _read_cache(question: Question, answer: Answer) -> tuple[Records, str]:
    """Return the records seen last, and when that was, empty for never; what cannot be used is a warning."""
    if not question.cache:
        return {}, ""
    try:
        with open(question.cache, "rb") as file:
            content = json.loads(file.read())
        of = content.get("inventory", question.inventory)
        if of != question.inventory:
            answer.warnings.append(
                f"The file {question.cache_name} has the members of the inventory {of}, so it is not used here."
            )
            return {}, ""
        records = {
            group: _checked(records_of.read, document, group, f"The file {question.cache_name}")
            for group, document in content["records"].items()
            if group in question.groups
        }
        return records, str(content["seen"])
    except FileNotFoundError:
        return {}, ""
    except InvalidRecord as error:
        answer.warnings.append(error.message)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        answer.warnings.append(f"cache_file: {question.cache_name!r} cannot be used: {error}")
    return {}, ""


def _write_cache(question: Question, answer: Answer, seen: str) -> None:
    """Keep the records, and that there were none.

    :param seen: when some of them were seen that Consul does not have any more; empty where it has all.
    """
    path = question.cache
    if not path:
        return
    content = {
        "inventory": question.inventory,
        "seen": seen or moments.text(time.time()),
        "records": {group: record.document() for group, record in answer.records.items()},
    }
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Runs at the same time read the file as one of them wrote it.
        with tempfile.NamedTemporaryFile(
            "w", dir=os.path.dirname(path), prefix=".members", delete=False, encoding="utf-8"
        ) as file:
            json.dump(content, file, indent=1)
        os.replace(file.name, path)
    except OSError as error:
        answer.warnings.append(f"cache_file: {question.cache_name!r} cannot be written: {error.strerror}")
