# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kills the transaction of each service at each of its steps, and looks at what the next run makes of it.

    python -m tests.kills                       # a random seven; SCALEOUT_SEED=<number> the same seven again
    python -m tests.kills --all
    python -m tests.kills redis                 # all of one service
    python -m tests.kills redis-close           # one case

Arguments are the beginnings of cases' names. The VM has to be there: `tests/kills/run` makes it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import random
import secrets as unpredictable
import subprocess
import sys
import tarfile
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / ".ansible/collections"))
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_tokens  # noqa: E402

HOST = "kills1"
ADDRESS = "172.29.88.11"
FOLDER = "/opt/kills"
#: So many cases are enough for CI.
FEW = 7

STEPS = ("stage", "validate", "guard", "keep", "prepare", "exchange", "activate", "probe", "close")
#: Only a configuration that fails its gate comes here.
REFUSAL_STEPS = ("refuse", "restore")
SAME, OTHER = "same", "other"
#: Of no host (RFC 5737).
NOWHERE = "192.0.2.1"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A service and two changes of its files: one that does no harm, and one that only its gate sees through.

    :param good: what to do with each file, by path; ``%`` stands for the number of the case.
    :param patience: seconds that the gate waits for a bad configuration; a good one has the role's own time.
    """

    name: str
    good: dict
    bad: dict
    patience: int


_CONSUL = "/etc/consul.d/scaleout.json"
_NGINX = "/etc/nginx/nginx.conf"
_PATRONI = "/etc/patroni/scaleout/10-member.yml"
_POOLER = "/etc/pgbouncer/pgbouncer.ini"
_RABBITMQ = "/etc/rabbitmq/rabbitmq.conf"
_REDIS = "/etc/redis/redis-cache.conf"

SUBJECTS = (
    Subject(
        "nginx",
        {_NGINX: {"append": "\n# kill %\n"}},
        # `nginx -t` says nothing about an address that another process has; here it is Consul.
        {_NGINX: {"replace": [r"^( *)listen ", r"\1listen 127.0.0.1:8500;\n\g<0>"]}},
        5,
    ),
    Subject(
        "redis-cache",
        {_REDIS: {"append": "\nmaxmemory 64%kb\n"}},
        {_REDIS: {"append": f"\nbind {NOWHERE}\n"}},
        20,
    ),
    Subject(
        "rabbitmq",
        {_RABBITMQ: {"append": "\nchannel_max = 1%\n"}},
        {_RABBITMQ: {"append": f"\nlisteners.tcp.kills = {NOWHERE}:5699\n"}},
        60,
    ),
    Subject(
        "pgbouncer",
        {_POOLER: {"replace": [r"^query_wait_timeout *=.*$", "query_wait_timeout = 1%"], "needs": "reload"}},
        {_POOLER: {"replace": [r"^listen_addr *=.*$", f"listen_addr = {NOWHERE}"], "needs": "restart"}},
        10,
    ),
    Subject(
        "patroni",
        {_PATRONI: {"append": "\n# kill %\n"}},
        {_PATRONI: {"replace": [r"^( *listen: ).*:8008'?$", rf"\g<1>{NOWHERE}:8008"], "needs": "restart"}},
        20,
    ),
    Subject(
        "consul",
        {_CONSUL: {"set": {"node_meta": {"kills": "%"}}}},
        {_CONSUL: {"set": {"addresses": {"http": NOWHERE}}}},
        60,
    ),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One kill, and what the next run wants.

    :param bad_again: the next run wants the same bad configuration, or another bad one; empty when it wants the good
        one.
    """

    subject: Subject
    step: str
    bad_again: str = ""

    @property
    def name(self) -> str:
        return f"{self.subject.name}-{self.step}{self.bad_again and f'-{self.bad_again}'}"

    @property
    def bad(self) -> bool:
        """Whether the run that is killed wants the bad configuration."""
        return bool(self.bad_again) or self.step in REFUSAL_STEPS


CASES = [
    case
    for subject in SUBJECTS
    for case in (
        *(Case(subject, step) for step in STEPS + REFUSAL_STEPS),
        *(Case(subject, step, SAME) for step in REFUSAL_STEPS),
        # The bad files lie on the disk, unproven; those that have to come back are the ones before them.
        Case(subject, "activate", OTHER),
    )
]


class Vm:
    """The VM, through SSH; the driver works there as root."""

    def __init__(self, services: dict, secrets: dict) -> None:
        self._services, self._secrets = services, secrets
        lab = ROOT / ".lab"
        self._ssh = ["ssh", "-i", str(lab / "id_ed25519"), "-o", f"UserKnownHostsFile={lab / 'known_hosts'}"]
        self._ssh += ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
        self._ssh += [f"ops@{ADDRESS}", "sudo"]

    def ship(self) -> None:
        """Bring the collection's plugins and the driver there, and forget what an earlier run kept."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            there = "ansible_collections/scaleout/platform/plugins/module_utils"
            tar.add(ROOT / "plugins" / "module_utils", there, filter=_sources)
            tar.add(ROOT / "tests" / "kills" / "driver.py", "driver.py")
        script = f"'rm -rf {FOLDER} && mkdir -m 0700 {FOLDER} && tar --no-same-owner -xf - -C {FOLDER}'"
        subprocess.run([*self._ssh, "sh", "-c", script], input=archive.getvalue(), check=True)

    def do(self, what: str, **request) -> dict:
        request.update(do=what, services=self._services, secrets=self._secrets)
        command = [*self._ssh, "env", f"PYTHONPATH={FOLDER}", "python3", f"{FOLDER}/driver.py"]
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            raise AssertionError(f"the driver ended with {done.returncode}: {done.stderr[-600:] or done.stdout[-600:]}")
        return json.loads(done.stdout)


def _sources(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith(("__pycache__", ".pyc")) else entry


def _changes(number: int, *changes: dict) -> dict:
    """Join changes, by path, and give them the number of the case, so that each has something to change."""
    paths = {path for change in changes for path in change}
    joined = {path: [change[path] for change in changes if path in change] for path in paths}
    return json.loads(json.dumps(joined).replace("%", str(number)))


class Bench:
    """What the cases share."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        #: Which change each service was last proven with.
        self._proven: dict = {subject.name: {} for subject in SUBJECTS}

    def begin(self) -> None:
        """See that the arguments are the roles' own: with them there is nothing to do."""
        for subject in SUBJECTS:
            self._expect(subject, {}, "before anything happened")

    def run(self, case: Case, number: int) -> str:
        """Kill and run again; return what happened, or raise AssertionError."""
        subject = case.subject
        good, bad = _changes(number, subject.good), _changes(number, subject.bad)
        wanted = {"": good, SAME: bad, OTHER: _changes(number, subject.good, subject.bad)}[case.bad_again]
        before = self._vm.do("see")
        killed = self._apply(subject, bad if case.bad else good, case.bad, kill=case.step)
        assert killed["signal"] == 9, f"the kill at {case.step} did not bite: {killed}"
        self._untouched(subject, before, self._vm.do("see"), "after the kill")
        after_kill = self._apply(subject, wanted, bool(case.bad_again))
        if case.bad_again:
            assert after_kill["code"] == "not_healthy", f"the bad configuration was not refused: {after_kill}"
        else:
            assert after_kill.get("code") == "", f"the next run failed: {after_kill}"
            self._proven[subject.name] = good
        self._expect(subject, self._proven[subject.name], "after the next run")
        after = self._vm.do("see")
        self._untouched(subject, before, after, "after the next run")
        assert not after[subject.name]["left"], f"left lying: {', '.join(after[subject.name]['left'])}"
        if case.bad_again:
            was, now = (seen[subject.name]["files"] for seen in (before, after))
            assert was == now, "the earlier files are back with other owners, modes or texts"
            return "killed; refused again, the earlier configuration serves"
        return f"killed; the next run took {len(after_kill['steps'])} steps and serves"

    def _apply(self, subject: Subject, change: dict, bad: bool, kill: str = "") -> dict:
        patience = subject.patience if bad else None
        return self._vm.do("apply", service=subject.name, change=change, kill=kill, timeout=patience)

    def _expect(self, subject: Subject, change: dict, when: str) -> None:
        found = self._vm.do("judge", service=subject.name, change=change)
        assert found["in_place"], f"{when}: other files than the proven ones are in place"
        assert not found["ailments"], f"{when}: {'; '.join(found['ailments'])}"
        assert not found["pending"], f"{when}: still to do: {'; '.join(found['pending'])}"

    @staticmethod
    def _untouched(subject: Subject, before: dict, after: dict, when: str) -> None:
        for name in before:
            if name != subject.name:
                assert before[name] == after[name], f"{when}: {name} changed from {before[name]} to {after[name]}"


def chosen(words: list[str]) -> list[Case]:
    """Return the cases that the arguments ask for; without any, print the seed of a random few."""
    if words == ["--all"]:
        return CASES
    if words:
        return [case for case in CASES if case.name in words or case.subject.name in words]
    seed = os.environ.get("SCALEOUT_SEED") or str(unpredictable.randbelow(10**6))
    print(f"seed {seed}: SCALEOUT_SEED={seed} chooses the same cases", flush=True)
    return random.Random(seed).sample(CASES, FEW)


def main(words: list[str]) -> int:
    cases = chosen(words)
    if not cases:
        print(f"No such case. There are: {', '.join(case.name for case in CASES)}.")
        return 2
    services = json.loads(pathlib.Path(os.environ["SCALEOUT_KILLS_ARGUMENTS"]).read_text(encoding="utf-8"))
    given = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/secrets.yml").read_text(encoding="utf-8"))
    agent = consul_tokens.secret_of(given["consul_agent_token"], HOST)
    tokens = {"agent": agent, "management": given["consul_management_token"]}
    vm = Vm(services, {"consul": tokens})
    vm.ship()
    bench = Bench(vm)
    started, failed = time.monotonic(), 0
    bench.begin()
    for number, case in enumerate(cases, start=100):
        began = time.monotonic()
        try:
            what = f"PASSED  {bench.run(case, number)}"
        except AssertionError as error:
            failed += 1
            what = f"FAILED  {error}"
        print(f"{case.name:<26} {time.monotonic() - began:5.1f} s  {what}", flush=True)
    passed = len(cases) - failed
    print(f"{f'{failed} failed, ' if failed else ''}{passed} passed in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
