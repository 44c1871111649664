# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a program on the host: without a shell, and for a bounded time."""

from __future__ import annotations

import os
import subprocess
import typing as t

#: Seconds that a command may take which only looks.
LOOK_TIMEOUT = 15
#: Statuses as a shell has them: the program took too long, or cannot be started.
NO_ANSWER = 124
NO_PROGRAM = 127
_EXCERPT = 300


class Done(t.NamedTuple):
    """What a command came to; ``status`` may also be `NO_ANSWER` or `NO_PROGRAM`."""

    status: int
    output: str
    error: str

    @property
    def said(self) -> str:
        """Why it failed, in one line."""
        return " ".join((self.error.strip() or self.output.strip() or f"status {self.status}").split())[:_EXCERPT]


def run(
    argv: t.Sequence[str],
    timeout: float = LOOK_TIMEOUT,
    stdin: str = "",
    environment: t.Mapping[str, str] | None = None,
) -> Done:
    """Run a program without a shell, and bound it.

    :param timeout: seconds after which it is killed.
    :param environment: variables besides its own; a secret there is seen by root and the process's account only.
    """
    try:
        # A module's own run_command bounds nothing: a program that hangs would hang the whole run.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv),
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        return Done(NO_ANSWER, "", f"{argv[0]} gave no answer within {timeout:g} s")
    except OSError as error:
        return Done(NO_PROGRAM, "", f"{argv[0]}: {error.strerror}")
    return Done(done.returncode, done.stdout, done.stderr)
