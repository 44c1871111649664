# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings nginx's upstream of one service to the instances that Consul knows, and keeps it there.

It asks the local agent with a blocking query, so it learns of each change at once. A new file is put in place, tested
together with the rest of nginx's configuration, and taken back when the test fails. ``nginx_upstream``, the file beside
it, decides who gets requests.

With ``--seed`` it only writes the first file, from servers that are named on the command line, and leaves a file that
is already there alone.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t
import urllib.parse

from nginx_upstream import Memory, Options, Record, Refused, Server, choose, describe, listed, members, parse, render

UPSTREAMS = pathlib.Path("/etc/nginx/upstreams")

#: Seconds to pause after a failure.
PAUSE_SECONDS = 5

#: Seconds between two questions at least, however fast Consul's answers change.
BREATH_SECONDS = 0.1

#: Seconds after which the record is read again while it keeps an instance out that may just have joined.
RECORD_SECONDS = 5


class Nginx:
    """The one nginx of this host; each method returns what went wrong, or nothing."""

    def test(self) -> str:
        """Test the whole configuration on disk."""
        return self._run("nginx", "-t", "-q")

    def reload(self) -> str:
        """Take up the configuration. A stopped nginx stays stopped and takes it up when it starts."""
        return self._run("systemctl", "try-reload-or-restart", "nginx.service")

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        return (done.stderr.strip() or f"{' '.join(command)} failed") if done.returncode else ""


def replace(path: pathlib.Path, text: str) -> None:
    """Write a file so that a reader, or the next boot, finds the old text or the new one and nothing between."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.chmod(0o644)
    new.replace(path)


def follow(
    path: pathlib.Path,
    servers: t.Collection[Server],
    options: Options,
    nginx: t.Any,
    last: t.Collection[Server] = (),
) -> str:
    """Bring the upstream's file and the running nginx to these servers.

    :param nginx: has ``test`` and ``reload`` as :class:`Nginx` has.
    :param last: see :func:`render`.
    :returns: a line for the journal, empty when there was nothing to do.
    :raises Refused: when nginx does not take the new file; the old one is in place again.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else None
    after = render(path.stem, servers, options, last)
    if after == before:
        return ""
    replace(path, after)
    problem = nginx.test() or nginx.reload()
    if problem:
        if before is None:
            path.unlink()
        else:
            replace(path, before)
        raise Refused(f"nginx does not take the new upstream, the old one is back: {problem}")
    return describe(before or "", after)


class Consul:
    """The local agent.

    :param address: of its HTTP interface, ``host:port``.
    :param token_file: holds the token that may read services and records.
    :param groups: the pools by their services.
    """

    def __init__(self, address: str, token_file: pathlib.Path, groups: t.Mapping[str, str]) -> None:
        self._address = address
        self._token_file = token_file
        self._groups = groups

    def ask(self, service: str, index: int, wait: float) -> tuple[int, t.Any]:
        """Return the instances once they differ from those of ``index``, or after about ``wait`` seconds.

        :raises OSError: the agent does not answer, or answers with an error.
        """
        # Any server may answer a stale query. Others go to the leader, and hang for half a minute when it is lost.
        query = {"stale": "", "index": index, "wait": f"{max(1, round(wait * 1000))}ms"}
        _status, newest, text = self._get(f"/v1/health/service/{service}", query, wait * 1.1 + 10)
        return max(1, newest), json.loads(text)

    def record(self, service: str) -> Record:
        """Return the record of the pool that runs a service.

        :raises OSError: as :meth:`ask` does.
        :raises ValueError: what is there is no record.
        """
        if service not in self._groups:
            return Record()
        path = f"/v1/kv/scaleout/members/{self._groups[service]}"
        status, _newest, text = self._get(path, {"stale": ""}, 10, expected=(200, 404))
        return Record() if status == 404 else Record(base64.b64decode(json.loads(text)[0]["Value"] or ""))

    def _get(
        self, path: str, query: t.Mapping[str, t.Any], timeout: float, expected: t.Collection[int] = (200,)
    ) -> tuple[int, int, bytes]:
        """Return the status, Consul's index and the text.

        :raises OSError: no answer, or one with another status than those expected.
        """
        connection = http.client.HTTPConnection(self._address, timeout=timeout)
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
            connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}", headers={"X-Consul-Token": token})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in expected:
                raise OSError(f"Consul answers {answer.status}: {text[:200].decode('utf-8', 'replace').strip()}")
            return answer.status, int(answer.getheader("X-Consul-Index") or 1), text
        except http.client.HTTPException as error:
            raise OSError(f"Consul's answer cannot be read: {error!r}") from error
        finally:
            connection.close()


def watch(path: pathlib.Path, options: Options, consul: t.Any, nginx: t.Any, state: pathlib.Path, clock: t.Any) -> None:
    """Follow the service forever.

    :param consul: has ``ask`` and ``record`` as :class:`Consul` has.
    :param state: is kept to what is wrong, in one line; empty when nothing is.
    :param clock: the module ``time``.
    """
    memory, record, index, wait, said = Memory(), Record(), 0, 0.0, [""]
    while True:
        try:
            newest, answer = consul.ask(path.stem, index, wait)
            # After a restore, Consul begins to count again.
            index = newest if newest >= index else 0
            # A record that cannot be read is no reason to keep servers that are dead: the last one counts.
            problem = ""
            try:
                record = consul.record(path.stem)
            except (OSError, ValueError) as error:
                problem = str(error)
            answer, others = record.divide(answer)
            found, notes = members(answer)
            notes += [problem, *(f"{host} is registered, and no member of the pool's record" for host in others)]
            now_in = [parse(each) for each in listed(path.read_text(encoding="utf-8") if path.exists() else "")]
            choice = choose(found, now_in, memory, clock.monotonic())
            # Who joins is written down before it registers, but this server of Consul may not know that yet.
            memory, wait = choice.memory, min([choice.wait, *([RECORD_SECONDS] if others else [])])
            notes += [choice.note, follow(path, choice.servers, options, nginx, choice.last)]
        except (OSError, ValueError) as error:
            problem, index, wait, notes = str(error), 0, 0.0, [str(error)]
        for note in notes:
            if note and note not in said:
                print(f"{path.stem}: {note}", flush=True)
        said = notes
        if not state.exists() or state.read_text(encoding="utf-8") != problem:
            replace(state, problem)
        clock.sleep(PAUSE_SECONDS if problem else BREATH_SECONDS)


def seed(path: pathlib.Path, servers: list[Server], options: Options) -> None:
    """Write the first file of an upstream, so that nginx can start before the watch has spoken."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not path.exists():
        replace(path, render(path.stem, servers, options))


def service_name(text: str) -> str:
    """A service's name that may be an upstream's and a file's too."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no name for an upstream")
    return text


def arguments() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("service", type=service_name)
    parser.add_argument("--seed", nargs="*", metavar="HOST:PORT", help="write the first file and do nothing else")
    parser.add_argument("--consul", default="127.0.0.1:8500", metavar="HOST:PORT", help="the agent's HTTP interface")
    parser.add_argument("--token-file", type=pathlib.Path, default=pathlib.Path("/etc/nginx/consul_token"))
    parser.add_argument("--pool", action="append", default=[], metavar="SERVICE=GROUP", help="whose record counts")
    parser.add_argument("--max-fails", type=int, default=default.max_fails)
    parser.add_argument("--fail-timeout", default=default.fail_timeout)
    parser.add_argument("--keepalive", type=int, default=default.keepalive)
    parser.add_argument("--keepalive-timeout", default=default.keepalive_timeout)
    return parser


def main() -> None:
    given = arguments().parse_args()
    path = UPSTREAMS / f"{given.service}.conf"
    options = Options(given.max_fails, given.fail_timeout, given.keepalive, given.keepalive_timeout)
    if given.seed is None:
        state = pathlib.Path(os.environ.get("RUNTIME_DIRECTORY", "/run")) / "state"
        groups = dict(pool.split("=", 1) for pool in given.pool)
        watch(path, options, Consul(given.consul, given.token_file, groups), Nginx(), state, time)
    try:
        seed(path, [parse(each) for each in given.seed], options)
    except (OSError, ValueError) as error:
        print(f"{given.service}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
