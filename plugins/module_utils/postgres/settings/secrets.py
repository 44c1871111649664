# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps passwords that settings carry out of what a task prints: in connection strings, commands, URLs and headers."""

from __future__ import annotations

import re

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue

MASK = "********"

_WORD = (
    r"pass(?:word|wd|phrase|code)|secret|token|credential"
    r"|(?:api|access|account|private|encryption|cipher|shared)[_-]?key|signature"
)
"""What is in the name of a secret, wherever it stands."""

_NO_SECRET = "".join(
    rf"(?<!{end})" for end in ("file", "path", "dir", "command", "cmd", "program", "fd", "id", "name", "encryption")
)
"""How the name of something ends that only leads to a secret, or says something about one."""

_TEXT = r"""(?:'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\\.|[^\s'"\\])+"""
"""A word of a shell or of a connection string, with quotes around all of it, a part, or nothing."""

_SECRET_NAME = re.compile(_WORD, re.IGNORECASE)
_SECRET = re.compile(
    "|".join(
        (
            # scheme://user:secret@host
            r"(?P<uri>\b[a-z][a-z0-9+.-]*://[^:@/\s]*:)(?P<in_uri>[^/\s]+)(?=@)",
            # ?password=secret&…
            rf"(?P<query>[?&](?:[\w.-]*(?:{_WORD})[\w.-]*|[\w.-]*pass|sig){_NO_SECRET}=)(?P<in_query>[^&#\s'\"]+)",
            # PGPASSWORD=secret, password = 'secret', --token=secret, "password": "secret", X-Vault-Token: secret
            rf"(?P<named>(?<![\w.-])(?:[\w.-]*(?:{_WORD})[\w.-]*|[\w.-]*pass){_NO_SECRET}['\"]?\s*[=:]\s*)"
            rf"(?P<value>{_TEXT})",
            # --password secret
            rf"(?P<option>(?<!\S)--(?!no-)(?:[\w-]*(?:{_WORD})[\w-]*|[\w-]*pass){_NO_SECRET}\s+)"
            rf"(?P<argument>(?!-){_TEXT})",
            # Authorization: Bearer secret
            r"(?P<header>\bauthorization\s*:\s*(?:[a-z]+\s+)?)(?P<in_header>[^\s'\"]+)",
            # sshpass -p secret, curl -u user:secret
            rf"(?P<program>\bsshpass\s+-p\s*|\bcurl\s[^|;&]*?(?:-u|--user|--proxy-user)[\s=]*['\"]?[^\s:'\"]+:)"
            rf"(?P<given>{_TEXT})",
        )
    ),
    re.IGNORECASE,
)
_HEADS = ("uri", "query", "named", "option", "header", "program")
_SECRETS = ("in_uri", "in_query", "value", "argument", "in_header", "given")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r"""'((?:[^'\\]|\\.)*)'?|"((?:[^"\\]|\\.)*)"?|(\\.|[^'"\\]+|\\)""", re.DOTALL)


def mask(name: str, text: str | None) -> str | None:
    """The text of a setting with every secret in it replaced by asterisks; in doubt, with more than the secret."""
    if not text:
        return text
    if _is_secret(name):
        return MASK
    return _SECRET.sub(lambda match: next(filter(None, map(match.group, _HEADS))) + MASK, text)


def found_in(name: str, text: str) -> set[str]:
    """The passwords in a setting's text, so that the edge can keep them out of everything else too."""
    if _is_secret(name):
        return {text} if text else set()
    found = set()
    for match in _SECRET.finditer(text):
        secret = next(filter(None, map(match.group, _SECRETS)))
        pieces = [next((part for part in piece.groups() if part is not None), "") for piece in _PIECE.finditer(secret)]
        # As it is written, without quotes around it, and as it reads without the quotes and escapes in it.
        found |= {pieces[0] if len(pieces) == 1 else secret, _ESCAPED.sub(r"\1", "".join(pieces))}
    return found - {""}


def tell_apart(before: str | None, after: str | None) -> str | None:
    """The text after a change of which, masked, nothing is to be seen."""
    return f"{after} (with another secret)" if before == after and MASK in (after or "") else after


def _is_secret(name: str) -> bool:
    # Of the server's own settings, password_encryption is the only one that has such a word and no secret.
    return name.lower() in catalogue.SECRETS or ("." in name and bool(_SECRET_NAME.search(name.rsplit(".", 1)[1])))
