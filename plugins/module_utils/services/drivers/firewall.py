# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nftables: loads a table of our own, and takes it back by itself unless the controller comes in again."""

from __future__ import annotations

import hashlib
import os
import shutil
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    Driver,
    in_place,
)
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import RELOAD

RULES = "/etc/scaleout-firewall.nft"
TABLE = ("inet", "scaleout")
#: The rules that come back when no new connection confirms the next ones; empty where there were none.
EARLIER = "/var/lib/scaleout/firewall.earlier"
#: What the kernel showed of the table when it was loaded.
LOADED = "/var/lib/scaleout/firewall.loaded"
#: The timer that takes the rules back.
UNDO = "scaleout-firewall-undo"

_UNDO = f"""if [ -s {EARLIER} ]; then cp {EARLIER} {RULES} && nft -f {RULES}
else rm -f {RULES}; nft delete table {" ".join(TABLE)}; fi"""


class Firewall(Driver):
    """The table as a service: its unit loads it, also when the host starts.

    The digest of the rules is the table's comment, so the kernel itself tells which ones it has. Whoever changes the
    table by hand is seen as well, by what the kernel showed when it was loaded.

    A host cannot see whether its rules admit the controller. So before they count, a timer is set that puts back what
    was there; the role stops it once it came in again. ``options.undo_after`` is its seconds.
    """

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Have nftables check the rules against the kernel."""
        if RULES not in staged:
            return ""
        done = run(["nft", "--check", "--file", staged[RULES]], timeout=ACTIVATE_TIMEOUT)
        return in_place(done.said, staged) if done.status else ""

    def prepare(self, level: str) -> str:
        """Keep the rules in force. While a timer is set, those that it would bring back are kept already."""
        if not _is_set():
            os.makedirs(os.path.dirname(EARLIER), mode=0o755, exist_ok=True)
            if os.path.exists(RULES):
                shutil.copyfile(RULES, EARLIER)
            else:
                with open(EARLIER, "w", encoding="utf-8"):
                    pass
        return ""

    def activate(self, level: str) -> str:
        """Set the timer, then load the table."""
        run(["systemctl", "stop", f"{UNDO}.timer"])
        arguments = ["--quiet", "--collect", f"--unit={UNDO}", f"--on-active={self.options['undo_after']}"]
        done = run(["systemd-run", *arguments, "/bin/sh", "-c", _UNDO])
        return done.said if done.status else super().activate(level)

    def ailments(self) -> list[str]:
        """Ask the kernel."""
        found = super().ailments()
        return found if found or self.digest in _shown() else ["the kernel does not have the new rules"]

    def drift(self) -> str:
        """Say that the table has to be loaded again where the kernel has another one."""
        shown = _shown()
        return "none" if self.digest in shown and _fingerprint(shown) == files.text(LOADED) else RELOAD

    def proven(self) -> None:
        """Note what the kernel shows."""
        with open(LOADED, "w", encoding="utf-8") as stream:
            stream.write(_fingerprint(_shown()))

    def restored(self) -> None:
        """Without earlier rules there is nothing to load, and the table goes."""
        if not os.path.exists(RULES):
            run(["nft", "delete", "table", *TABLE])

    def absent(self) -> str:
        """Stop the timer as well: what it would put back is to go."""
        run(["systemctl", "stop", f"{UNDO}.timer"])
        reason = super().absent()
        if not reason and _shown():
            done = run(["nft", "delete", "table", *TABLE])
            reason = done.said if done.status else ""
        for path in (EARLIER, LOADED):
            if not reason and os.path.exists(path):
                os.unlink(path)
        return reason


def _is_set() -> bool:
    return run(["systemctl", "is-active", f"{UNDO}.timer"]).status == 0


def _shown() -> str:
    """Return the table as the kernel has it, without counters; empty where it has none."""
    done = run(["nft", "--stateless", "list", "table", *TABLE])
    return "" if done.status else done.output


def _fingerprint(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8")).hexdigest()
