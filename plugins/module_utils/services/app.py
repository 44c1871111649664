# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An application: what may be deployed, and what its release, its units and its registration are made of; pure."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import limits
from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed, is_release, version_number
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_agent, consul_hosts, nginx
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port

#: The module ``release`` looks at the host, once it knows which release is wanted.
STATE_MODULE = None

#: What to deploy, by the variable that names it: the kind that ``release_archive`` knows.
KINDS = {
    "app_source": "directory",
    "app_archive": "archive",
    "app_image": "reference",
    "app_image_archive": "image",
}
#: Where an entry of ``applications`` says what a variable of the role says, if not by the same name.
ENTRY_NAMES = {
    "health_path": "health: path",
    "health_host": "health: host",
    "health_timeout": "health: timeout",
    "health_check_timeout": "health: check_timeout",
}
#: What the role itself puts into the environment.
OWN_VARIABLES = ("PORT", "SERVICE_NAME", "SERVICE_TAGS", "SERVICE_RELEASE")

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PATH = re.compile(r"/[!-~]*")
# A name as a Host header has it, perhaps with a port.
_HOST = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
#: Seconds that the gate lets one answer take; a process that has just started may be slow.
_GATE_TIMEOUT = 5.0
# systemd gives some leading characters a meaning of their own (@, -, +, !, :), and expands $ and % in this word alone.
_PROGRAM = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")
_FIT_FOR_UNIT = "be 1 to 31 of a-z, 0-9, _ and -, beginning with a letter"


def systemd_word(text: t.Any) -> str:
    """Return a word of a command line as systemd reads it: quoted, with its specifiers and variables disarmed."""
    escaped = str(text)
    for mark, instead in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n"), ("\t", r"\t"), ("%", "%%"), ("$", "$$")):
        escaped = escaped.replace(mark, instead)
    return f'"{escaped}"'


class _Application:
    """The variables of one host's application, or what an entry of ``applications`` makes of them.

    :param entry: the entry's name; empty where the role is used by itself.
    """

    def __init__(self, platform: Platform, host: str, entry: str = "") -> None:
        self._platform = platform
        self.host = host
        self._entry = entry

    def __getitem__(self, name: str) -> t.Any:
        return self._platform.value(self.host, f"app_{name}")

    def text(self, name: str) -> str:
        value = self[name]
        return "" if value is None else str(value)

    def words(self, name: str) -> list[str]:
        return _words(self[name])

    @property
    def memory(self) -> t.Any:
        """The memory that the role fleet makes this host with."""
        return self._platform.made_with(self.host, "memory")

    @property
    def given(self) -> bool:
        """Whether the inventory, or the play's task, says what runs here; else only the role's caller knows."""
        return self["name"] is not None

    @property
    def sources(self) -> dict[str, str]:
        """What to deploy, by the variable that names it."""
        return {name: value for name in KINDS for value in [self.text(name[len("app_") :])] if value}

    @property
    def workers(self) -> list[t.Mapping[str, t.Any]]:
        found = self["workers"]
        return [worker for worker in found if isinstance(worker, t.Mapping)] if isinstance(found, (list, tuple)) else []

    @property
    def worker_names(self) -> list[str]:
        return [str(worker.get("name", "")) for worker in self.workers]

    @property
    def worker_programs(self) -> list[str]:
        return [words[0] for worker in self.workers for words in [_words(worker.get("command"))] if words]

    def called(self, name: str) -> str:
        """Return what the user calls a variable of the role: its own name, or the key of an entry."""
        return ENTRY_NAMES.get(name, name) if self._entry else f"app_{name}"

    def problem(self, code: str, text: str) -> Problem:
        return Problem(code, self.host, f"applications: {self._entry}: {text}" if self._entry else text)


def _words(value: t.Any) -> list[str]:
    return [str(word) for word in value] if isinstance(value, (list, tuple)) else []


def _whole(value: t.Any, default: int) -> int:
    try:
        return default if isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return default


def _seconds(value: t.Any) -> float:
    """Return a number of seconds; below 0 for what is none."""
    try:
        return -1.0 if isinstance(value, bool) else float(value or 0)
    except (TypeError, ValueError):
        return -1.0


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the application cannot be deployed, or removed."""
    return problems_of(platform, host, "")


def problems_of(platform: Platform, host: str, entry: str) -> list[Problem]:
    """Say the same in the words of an entry of ``applications``, whose values the platform has as variables."""
    app = _Application(platform, host, entry)
    if not app.given:
        return []
    found = [*_always(app)]
    if app.text("state") != "absent":
        found += [*_sources(app), *_values(app), *_workers(app)]
    return found


def _always(app: _Application) -> t.Iterator[Problem]:
    name, user, service = app["name"], app.text("user") or app.text("name"), app.text("service") or app.text("name")
    if not _NAME.fullmatch(str(name)):
        text = f"{app.called('name')} is {json.dumps(name)}; it becomes an account, a unit and a path, so it must "
        yield app.problem("bad_name", text + _FIT_FOR_UNIT)
    elif not _ACCOUNT.fullmatch(user):
        yield app.problem("bad_name", f"{app.called('user')} is {json.dumps(user)}, which is no name for an account")
    if not is_port(app["port"]):
        yield app.problem("bad_port", f"{app.called('port')} is {app['port']}; a port is between 1 and 65535")
    if _NAME.fullmatch(str(name)) and not _SERVICE.fullmatch(service):
        text = f"{app.called('service')} is {json.dumps(service)}; it must be 1 to 63 letters, digits, _ and -"
        yield app.problem("bad_name", text)
    if app["consul"] and not app._platform.value(app.host, "consul_agent_token"):
        yield app.problem("missing_secret", f"{app.called('consul')} is true and consul_agent_token is missing")


def _sources(app: _Application) -> t.Iterator[Problem]:
    sources = list(app.sources)
    if not sources:
        first, *others, last = (app.called(name[len("app_") :]) for name in KINDS)
        text = f"{first} is missing; it, {', '.join(others)} or {last} names what to deploy"
        yield app.problem("missing_source", text)
    elif len(sources) > 1:
        called = [app.called(name[len("app_") :]) for name in sources]
        yield app.problem("two_sources", f"{' and '.join(called)} are given; one of them can be deployed")
    command = app.words("command")
    if not command and sources and not any(name.startswith("app_image") for name in sources):
        yield app.problem(
            "missing_program", f"{app.called('command')} is empty; it must be the command and its arguments"
        )
    if command and not _PROGRAM.fullmatch(command[0]):
        yield app.problem(
            "bad_program",
            f"{app.called('command')} begins with {json.dumps(command[0])}, which cannot be a program's path; use "
            "letters, digits and _./+- there",
        )
    if _whole(app["strip_components"], 0) < 0:
        text = (
            f"{app.called('strip_components')} is {app['strip_components']}; it is how many leading directories to drop"
        )
        yield app.problem("bad_value", text)
    yield from _names(app)


def _names(app: _Application) -> t.Iterator[Problem]:
    for name in ("version", "schema_serves"):
        if isinstance(app[name], (bool, float)):
            text = f"{app.called(name)} is {app[name]} without quotes, and YAML takes 1.10 for 1.1; put it in quotes"
            yield app.problem("bad_value", text)
    if app.text("version") and not is_release(app.text("version")):
        yield app.problem(
            "bad_name",
            f"{app.called('version')} is {json.dumps(app['version'])}; it becomes a directory, so it must be 1 to 64 "
            "letters, digits and ._+-, no dot first",
        )

    if app.text("schema_serves"):
        for name in ("schema_serves", "version"):
            if version_number(app.text(name)) is None:
                yield app.problem(
                    "bad_value",
                    f"{app.called(name)} is {json.dumps(app[name])}; {app.called('schema_serves')} and "
                    f"{app.called('version')} are compared, so both must be numbers with dots, such as 1.4",
                )


def _values(app: _Application) -> t.Iterator[Problem]:
    if not _PATH.fullmatch(app.text("health_path")):
        path = json.dumps(app["health_path"])
        text = f"{app.called('health_path')} is {path}; it must begin with a slash and be free of spaces"
        yield app.problem("bad_path", text)
    if app.text("health_host") and not _HOST.fullmatch(app.text("health_host")):
        text = f"{app.called('health_host')} is {json.dumps(app['health_host'])}, which no Host header can be"
        yield app.problem("bad_value", text)
    if _seconds(app["health_check_timeout"]) < 0:
        value = json.dumps(app["health_check_timeout"])
        text = f"{app.called('health_check_timeout')} is {value}; it is a number of seconds"
        yield app.problem("bad_value", text)
    given = {*(app["environment"] or {}), *(app["secrets"] or {})}
    taken = [name for name in OWN_VARIABLES if name in given]
    if taken:
        where = f"{app.called('environment')} or {app.called('secrets')}"
        text = f"{', '.join(taken)} cannot be set in {where}: the role does that"
        yield app.problem("taken_variable", text)
    if _whole(app["keep_releases"], 1) < 1:
        yield app.problem(
            "bad_value", f"{app.called('keep_releases')} is {app['keep_releases']}; at least 1 has to stay"
        )
    named = {app.called("limits"): app["limits"] or {}}
    named.update(
        {f"{app.called('workers')}, limits of {each.get('name')}": each.get("limits") or {} for each in app.workers}
    )
    fault = limits.fault(named, app.memory)
    if fault:
        yield app.problem("bad_limits", fault)


def _workers(app: _Application) -> t.Iterator[Problem]:
    names = app.worker_names
    for name in names:
        if not _NAME.fullmatch(name):
            text = f"{app.called('workers')} has the name {json.dumps(name)}; it becomes a part of a unit's name, so "
            yield app.problem("bad_name", f"{text}it must {_FIT_FOR_UNIT}")
        if name == "prepare":
            unit = f"that of {app.called('prepare_command')}'s unit"
            text = f"{app.called('workers')} has the name prepare, which is {unit}"
            yield app.problem("bad_name", text)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield app.problem("duplicate", f"{app.called('workers')} has the name {name} twice")
    for worker in app.workers:
        if not _words(worker.get("command")):
            yield app.problem("missing_program", f"{app.called('workers')} has no command for {worker.get('name')}")
    for program in app.worker_programs:
        if not _PROGRAM.fullmatch(program):
            yield app.problem(
                "bad_program",
                f"{app.called('workers')} has a command that begins with {json.dumps(program)}, which cannot be a "
                "program's path; use letters, digits and _./+- there",
            )


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the port that the application takes; that of the reference API where the inventory names no other one."""
    for variable in ("app_port", "reference_api_port"):
        port = platform.value(host, variable)
        if is_port(port):
            return [Listen(variable, int(port), "")]
    return []


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """The application's own health is the gate's to judge."""
    return []


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here."""
    app = _Application(platform, host)
    name, port = app.text("name"), _whole(app["port"], 0)
    service, address = app.text("service") or name, app.text("address") or platform.address(host)
    tags = app.words("service_tags")
    health_host, check_timeout = app.text("health_host"), max(0.0, _seconds(app["health_check_timeout"]))
    check: dict[str, t.Any] = {"http": f"http://127.0.0.1:{port}{app.text('health_path')}"}
    if health_host:
        check["header"] = {"Host": [health_host]}
    if check_timeout:
        check["timeout"] = f"{check_timeout:g}s"
    variable, source = next(iter(app.sources.items()), ("app_source", ""))
    return {
        "unit": f"{name}.service",
        "worker_units": [f"{name}-{worker}.service" for worker in app.worker_names],
        "root": f"/srv/{name}",
        "state_dir": f"/var/lib/{name}",
        "own_account": (app.text("user") or name) == name,
        "source": source,
        "kind": KINDS[variable],
        "is_image": variable.startswith("app_image"),
        "programs": [*app.worker_programs, *app.words("prepare_command")[:1]],
        "environment": {"PORT": port, "SERVICE_NAME": service, "SERVICE_TAGS": ",".join(tags)},
        "service": {
            "name": service,
            "id": name,
            "port": port,
            "address": address,
            "tags": tags,
            "checks": [check],
        },
        "token": consul_hosts.of_application(platform, host, service, app.text("state") != "absent"),
        "check_timeout": check_timeout or _GATE_TIMEOUT,
        "registration": consul_agent.service_file(name),
        "balancers": _balancers(platform, app, service),
        # A server's line in an upstream, for grep -E and for Python alike.
        "upstream_pattern": f"(^|[^0-9A-Za-z.-]){re.escape(f'{bracketed(address)}:{port}')}([^0-9]|$)",
    }


def _balancers(platform: Platform, app: _Application, service: str) -> list[str]:
    """Return the load balancers that have a site for a service, less those that are known not to answer."""
    given = app["load_balancer_hosts"]
    hosts = [str(host) for host in given] if isinstance(given, (list, tuple)) else platform.members("loadbalancer")
    reached = platform.groups.get("platform_reached")
    return [
        host for host in hosts if (reached is None or host in reached) and service in nginx.services(platform, host)
    ]
