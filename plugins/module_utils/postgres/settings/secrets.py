# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps passwords that settings carry out of what a task prints."""

from __future__ import annotations

import re

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue

MASK = "********"

_SECRET_NAME = re.compile(r"(?:password|passphrase|secret|token|credential)", re.IGNORECASE)
_PASSWORD = re.compile(
    r"(?P<head>\b(?:ssl)?password\s*=\s*)(?P<secret>'(?:[^'\\]|\\.)*'|(?:[^\s'\\&]|\\.)+)"
    r"|(?P<uri>\bpostgres(?:ql)?://[^:@/\s]*:)(?P<user_secret>[^@/\s]+)(?=@)",
    re.IGNORECASE,
)


def mask(name: str, text: str | None) -> str | None:
    """The text of a setting with every password in it replaced by asterisks."""
    if not text:
        return text
    if _is_secret(name):
        return MASK
    return _PASSWORD.sub(lambda match: (match["head"] or match["uri"]) + MASK, text)


def found_in(name: str, text: str) -> set[str]:
    """The passwords in a setting's text, so that the edge can keep them out of everything else too."""
    if _is_secret(name):
        return {text} if text else set()
    found = set()
    for match in _PASSWORD.finditer(text):
        secret = match["secret"] or match["user_secret"]
        bare = secret[1:-1] if secret.startswith("'") else secret
        # As it is written, and as it reads without the escapes of a connection string.
        found |= {bare, re.sub(r"\\(.)", r"\1", bare)}
    return found - {""}


def tell_apart(before: str | None, after: str | None) -> str | None:
    """The text after a change of which, masked, nothing is to be seen."""
    return f"{after} (with another secret)" if before == after and MASK in (after or "") else after


def _is_secret(name: str) -> bool:
    # Of the server's own settings, password_encryption is the only one that has the word and no secret.
    return name.lower() in catalogue.SECRETS or ("." in name and bool(_SECRET_NAME.search(name.rsplit(".", 1)[1])))
