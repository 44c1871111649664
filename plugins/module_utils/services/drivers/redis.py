# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One Redis instance: takes settings while it runs, hands its data over before a restart, keeps what it had."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import journal
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services import redis_conf
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import redis_server
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    Driver,
    states,
)
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import NONE, RELOAD, RESTART

# Redis has no checker. It reads its arguments as the end of the file: when a directive that there is none of is all
# that it complains of, it takes the file.
_END = "end-of-the-file"
_FATAL = re.compile(r">>> '?(.*?)'?\n(.*)", re.DOTALL)
_DIR = re.compile(r"^dir .*$", re.MULTILINE)
_CAUSE = re.compile(r"can't|cannot|could not|denied|fatal|out of memory", re.IGNORECASE)
_LOG_PREFIX = re.compile(r"^\d+:[A-Z] .* [#*] ")
_MANY_STARTS = 3


class Redis(Driver):
    """One instance.

    ``options``: ``configuration``, its file; ``directory``, its data; ``timeout``, seconds for an append-only file to
    be written; ``heir``, whether the server that Debian's package starts by itself gives way to it, with its data.
    """

    def __init__(self, *arguments: t.Any, **named: t.Any) -> None:
        super().__init__(*arguments, **named)
        self._configuration = str(self.options["configuration"])
        self._directory = str(self.options["directory"])
        self._new = ""
        # The directives that the running server has to take up; None where only a restart will do.
        self._live: frozenset[str] | None = None
        self._prepared = False
        notes = os.path.join(journal.ROOT, self.name)
        #: Says that the data are in an append-only file by now, whatever the earlier configuration says.
        self._handed_over = redis_server.Mark(os.path.join(notes, "append-only"))
        #: Says that the data of the package's own server are on their way here.
        self._taken_over = redis_server.Mark(os.path.join(notes, "taken-over"))

    # Looking

    def _on_disk(self) -> str:
        return redis_server.text_of(self._configuration)

    def drift(self) -> str:
        """Compare what the server runs with and what its file says."""
        if self._package_runs():
            return RESTART
        text = self._on_disk()
        try:
            running = redis_server.Server.of(text).settings()
        except redis_server.Busy:
            return NONE
        except redis_server.NoAnswer:
            return RESTART
        different = redis_conf.differences(running, text)
        if not different:
            return NONE
        if not redis_conf.settable(different, text):
            return RESTART
        self._live = different
        return RELOAD

    def ailments(self) -> list[str]:
        """Ask whether it has read its data and serves with its file."""
        text = self._on_disk()
        if not text:
            # It is left without a configuration, and the package's own server has come back.
            package = redis_server.Server.of(redis_server.text_of(redis_server.PACKAGE_CONFIGURATION))
            return [] if package.serves() else ["redis-server.service does not answer"]
        found = super().ailments()
        if found:
            return found
        try:
            server = redis_server.Server.of(text)
            server.ask("PING")
            if server.information("persistence").get("loading") != "0":
                return ["it still reads its data"]
            different = redis_conf.differences(server.settings(), text)
        except redis_server.NoAnswer as error:
            return [str(error)]
        return [f"it runs with another {name} than its file has" for name in sorted(different)]

    def hopeless(self) -> bool:
        """A server that ended several times with its files ends again."""
        shown = run(["systemctl", "show", "--property=NRestarts", "--value", "--", self.units[0]]).output.strip()
        return shown.isdigit() and int(shown) >= _MANY_STARTS

    # Changing

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Have redis-server read the new file."""
        if self._configuration not in staged:
            return ""
        self._new = redis_server.text_of(staged[self._configuration])
        # Its folder may not be there yet.
        text = _DIR.sub("dir /", self._new)
        done = run(["redis-server", "-", f"--{_END}", "yes"], stdin=text)
        said = done.output + done.error
        if _END in said:
            return ""
        match = _FATAL.search(said)
        if not match:
            return done.said
        line, reason = match.group(1), " ".join(match.group(2).split())
        directive = line.split(" ", 1)[0]
        return f"{directive if directive in ('requirepass', 'user') else line}: {reason}"

    def prepare(self, level: str) -> str:
        """See to the data, and decide whether the server has to restart."""
        self._prepared = True
        before, after = self._on_disk(), self._new or self._on_disk()
        if level == RESTART:
            self._live = None
        elif self._new:
            names = redis_conf.changed(before, after)
            self._live = names if redis_conf.settable(names, after) else None
        unit = redis_server.Unit(self.units[0], self._directory)
        proven = redis_server.kept(self.name, self._configuration)
        reason = self._hand_over(unit, [text for text in (proven, before) if text], after)
        if not reason and self.options.get("heir"):
            reason = self._take_over(after)
        return reason

    def _hand_over(self, unit: redis_server.Unit, texts: t.Sequence[str], after: str) -> str:
        if not texts:
            return ""
        return redis_server.hand_over(unit, texts, after, float(self.options["timeout"]), self._handed_over)

    def _package_runs(self) -> bool:
        state = states([redis_server.PACKAGE_UNIT])[0]
        return bool(self.options.get("heir")) and (state.active or (state.known and state.enabled))

    def _take_over(self, after: str) -> str:
        """Retire the server that the package starts, and move its data here; its file stays for the way back."""
        if not self._taken_over.there:
            if not self._package_runs():
                return ""
            text = redis_server.text_of(redis_server.PACKAGE_CONFIGURATION)
            unit = redis_server.Unit(redis_server.PACKAGE_UNIT, redis_server.directory_of(text))
            reason = self._hand_over(unit, [text] if text else [], after)
            if reason:
                return reason
            self._taken_over.set()
        done = run(["systemctl", "disable", "--now", redis_server.PACKAGE_UNIT], timeout=ACTIVATE_TIMEOUT)
        if done.status:
            return f"redis-server.service does not stop: {done.said}"
        redis_server.make_folder(self._directory)
        redis_server.move_data(self._package_directory(), self._directory)
        return ""

    @staticmethod
    def _package_directory() -> str:
        return redis_server.directory_of(redis_server.text_of(redis_server.PACKAGE_CONFIGURATION))

    def activate(self, level: str) -> str:
        """Set what can be set while it serves; restart it otherwise."""
        text = self._on_disk()
        if not text:
            return super().absent()
        redis_server.make_folder(self._directory)
        state = self.look()[0]
        if level == RELOAD and state.active:
            if not self._prepared:
                # Only its start at boot is missing.
                return self._enable()
            if self._live is not None and redis_conf.settable(self._live, text) and self._set(text):
                return self._enable()
        return super().activate(RESTART)

    def _enable(self) -> str:
        done = run(["systemctl", "enable", *self.units], timeout=ACTIVATE_TIMEOUT)
        return done.said if done.status else ""

    def _set(self, text: str) -> bool:
        """Set the directives that differ; return whether the server took them all."""
        self.activated_at = time.time()
        directives = redis_conf.parse(text)
        try:
            server = redis_server.Server.of(text)
            for name in sorted(self._live or ()):
                server.ask("CONFIG", "SET", name, redis_conf.last(directives, name))
        except redis_server.NoAnswer:
            return False
        return True

    def proven(self) -> None:
        """Forget what was kept for the way back; a cache must not come up with an old snapshot at its next start."""
        self._handed_over.clear()
        self._taken_over.clear()
        if not redis_conf.last(redis_conf.parse(self._on_disk()), "save"):
            redis_server.rename(os.path.join(self._directory, "dump.rdb"), ".previous")

    def restored(self) -> None:
        """Have the earlier configuration read the data where they are by now."""
        if self._on_disk():
            if self._handed_over.there:
                redis_server.append_only(self._configuration)
        else:
            super().absent()
            if self._taken_over.there:
                redis_server.move_data(self._directory, self._package_directory())
                if self._handed_over.there:
                    redis_server.append_only(redis_server.PACKAGE_CONFIGURATION)
                run(["systemctl", "enable", "--now", redis_server.PACKAGE_UNIT], timeout=ACTIVATE_TIMEOUT)
        self._handed_over.clear()
        self._taken_over.clear()

    def last_words(self) -> str:
        """Prefer the line that names a cause to those that follow from it, and leave out the time."""
        if not self.activated_at:
            return ""
        since = f"--since=@{int(self.activated_at) - 1}"
        log = run(["journalctl", "--no-pager", "--quiet", "--output=cat", since, f"--unit={self.units[0]}"]).output
        told = [line for line in log.splitlines() if _CAUSE.search(line) and not line.startswith("Failed to start")]
        return _LOG_PREFIX.sub("", told[-1]) if told else super().last_words()
