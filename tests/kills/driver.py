# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs on the VM, as root: one transaction of one service, killed where it is told to be. `tests/kills/run` calls it.

It reads one request as JSON and prints one answer as JSON. The wanted files are those that the role left, kept in
``base.json`` by the first call, with one change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

from ansible_collections.scaleout.platform.plugins.module_utils import journal, transaction
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations.configure import Configuration
from ansible_collections.scaleout.platform.plugins.module_utils.operations.drivers import DRIVERS

_BASE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "base.json")
_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")


class Service:
    """A service as its role left it, with a change or none."""

    def __init__(self, request, base, change):
        arguments = request["services"][request["service"]]
        files = _marked_again([_file(entry, base[entry["path"]]) for entry in arguments["files"]])
        files, digest = transaction.marked([_changed(file, change.get(file.path, ())) for file in files])
        secrets = request["secrets"].get(request["service"], {})
        self.driver = DRIVERS[arguments["driver"]](
            arguments["name"], arguments["units"], arguments["options"], secrets, digest
        )
        self.files = files
        self._journal = journal.Journal(arguments["name"])
        self._timeout = request.get("timeout") or arguments["timeout"]

    def configuration(self, on_step=lambda step: None):
        return Configuration(self.files, self.driver, self._journal, self._timeout, on_step=on_step)

    def pending(self):
        return list(self.configuration().look().due.reasons)

    def in_place(self):
        return all(journal.read(file.path).is_as(file) for file in self.files)


def _file(entry, content):
    mode = int(entry["mode"], 8)
    return transaction.File(
        entry["path"], content, mode, entry["owner"], entry["group"], entry["needs"], bool(entry["secret"])
    )


def _marked_again(files):
    """Put the digest's mark where the role's files had it: what is the digest of the files without it is one."""
    found = {word for file in files for word in _DIGEST.findall(file.content or "")}
    for word in sorted(found):
        bare = [_with(file, (file.content or "").replace(word, transaction.DIGEST_MARK)) for file in files]
        if transaction.digest(bare) == word:
            return bare
    return files


def _with(file, content):
    return file if file.content is None else dataclasses.replace(file, content=content)


def _changed(file, changes):
    for change in changes:
        text = file.content
        if "set" in change:
            document = json.loads(text)
            for name, value in change["set"].items():
                document[name] = {**document.get(name, {}), **value} if isinstance(value, dict) else value
            text = json.dumps(document)
        if "replace" in change:
            text, count = re.subn(*change["replace"], text, count=1, flags=re.MULTILINE)
            if not count:
                raise SystemExit(f"{file.path} has nothing like {change['replace'][0]}")
        text += change.get("append", "")
        file = dataclasses.replace(file, content=text, needs=change.get("needs", file.needs))
    return file


def _base(services):
    try:
        with open(_BASE, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        base = {f["path"]: journal.read(f["path"]).content for s in services.values() for f in s["files"]}
        with open(os.open(_BASE, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as stream:
            json.dump(base, stream)
        return base


def seen(services):
    """Return, by service, its files, its note of what is in force, its processes, and what a transaction left lying."""
    found = {}
    for name, arguments in services.items():
        folder = os.path.join(journal.ROOT, name)
        paths = [file["path"] for file in arguments["files"]]
        left = [os.path.join(folder, "journal.json"), os.path.join(folder, "kept")]
        left += [journal.staged_name(path) for path in paths]
        found[name] = {
            "files": {path: _checksum(path) for path in [*paths, os.path.join(folder, "in_force.json")]},
            "processes": {unit: _process(unit) for unit in arguments["units"]},
            "left": [path for path in left if os.path.lexists(path)],
        }
    return found


def _checksum(path):
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        text = f"{status.st_mode:o} {status.st_uid} {status.st_gid} ".encode() + stream.read()
        return hashlib.sha256(text).hexdigest()
    return "absent"


def _process(unit):
    command = ["systemctl", "show", "--property=MainPID", "--value", "--", unit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def apply(service, kill):
    """Carry the transaction out in a process of its own; return the signal that ended it, or its outcome."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            steps = []

            def on_step(step):
                steps.append(step)
                if step == kill:
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                service.configuration(on_step).apply()
                outcome = {"code": "", "message": ""}
            except ScaleoutError as error:
                outcome = {"code": error.code, "message": str(error)}
            json.dump({**outcome, "steps": steps}, stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        told = stream.read()
    status = os.waitpid(child, 0)[1]
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, **(json.loads(told) if told else {})}


def main():
    request = json.load(sys.stdin)
    base = _base(request["services"])
    answer = {}
    if request["do"] == "see":
        answer = seen(request["services"])
    else:
        service = Service(request, base, request["change"])
        if request["do"] == "apply":
            answer = apply(service, request["kill"])
        else:
            # A service that has just restarted may take a moment to count itself in.
            end = time.monotonic() + 15
            while service.driver.ailments() and time.monotonic() < end:
                time.sleep(0.5)
            answer = {
                "pending": service.pending(),
                "in_place": service.in_place(),
                "ailments": service.driver.ailments(),
            }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
