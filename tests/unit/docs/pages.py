# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the pages hold for a reader to copy, and an account on a fresh controller to copy it to."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[3]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    """The code blocks of a page, those in lists too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


class Account:
    """An account with the collection installed and nothing else, in an empty folder.

    :param home: an empty folder.
    """

    def __init__(self, home):
        self.home = home
        self.folder = home / "platform"
        self.folder.mkdir()
        installed = home / ".ansible" / "collections" / "ansible_collections" / "scaleout"
        installed.mkdir(parents=True)
        (installed / "platform").symlink_to(ROOT)
        (home / ".vault-password").write_text("sesame", encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SCALEOUT_"))}
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_VAULT_PASSWORD_FILE": str(home / ".vault-password"),
            "COLUMNS": "1000",
        }
        # A core without the package ``ansible`` has the collections of that package here; tools/ci/cores.py names them.
        brought = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep)[1:]
        if brought:
            self.environment["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join([f"{home}/.ansible/collections", *brought])

    def types(self, commands, **environment):
        """Run commands as they stand on a page; return the exit status and the output on one line."""
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)

    def file(self, path):
        return self.folder / "inventories" / "production" / path
