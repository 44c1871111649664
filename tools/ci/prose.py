#!/usr/bin/env python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuses the words of ``words.toml`` in all that git knows: pages, comments, messages, names of tasks and of code.

A name of code is read as its parts: each of ``my_word`` and ``MyWord`` holds "word". A phrase may go over a line's end.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = pathlib.Path(__file__).with_name("words.toml")
#: Words in a text, and in a name of code in any of its spellings.
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
EXEMPTION = re.compile(r"prose: allow (?P<what>[a-z ]+):(?P<reason>.*)", re.IGNORECASE)
#: What ends a comment, and what may stand between the words of a phrase.
MARKS = re.compile(r"-->|\*/")
BETWEEN = r"(?:\s|_|#|\*)+"
REASON_WORDS = 3


@dataclasses.dataclass(frozen=True)
class Words:
    """What is refused.

    :param words: single words in lower case, each with what to write instead.
    :param phrases: the same of several words.
    :param skip: patterns of paths that are not read.
    """

    words: dict[str, str]
    phrases: dict[str, str]
    skip: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: pathlib.Path = WORDS) -> Words:
        """Read them from the file."""
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(content["words"], content["phrases"], tuple(content["skip"]["files"]))

    def reads(self, path: str) -> bool:
        """Whether a file is looked through."""
        return not any(fnmatch.fnmatchcase(path, pattern) for pattern in self.skip)


def found(text: str, words: Words) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the word and what to write instead."""
    for number, line in enumerate(text.splitlines(), start=1):
        for part in dict.fromkeys(match.group().lower() for match in PART.finditer(line)):
            if part in words.words:
                yield number, part, words.words[part]
    for phrase, instead in words.phrases.items():
        pattern = re.compile(rf"\b{BETWEEN.join(map(re.escape, phrase.split()))}s?(?![a-z])", re.IGNORECASE)
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, phrase, instead


def exemptions(text: str) -> dict[int, tuple[str, str]]:
    """Return the word that a line exempts and why, by the number of the line."""
    return {
        number: (match["what"].strip().lower(), MARKS.sub("", match["reason"]).strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := EXEMPTION.search(line))
    }


def faults(text: str, words: Words) -> list[str]:
    """Return what is wrong with a text, by line: words that are refused, and exemptions without a reason or a use."""
    allowed = exemptions(text)
    told, used = [], set()
    for number, word, instead in found(EXEMPTION.sub("", text), words):
        covers = [line for line in (number, number - 1) if allowed.get(line, ("",))[0] == word]
        used.update(covers)
        if not covers:
            told.append((number, f"{word!r}: write {instead}"))
    for number, (word, reason) in allowed.items():
        if len(reason.split()) < REASON_WORDS:
            told.append((number, f"the exemption of {word!r} has no reason of {REASON_WORDS} words"))
        elif number not in used:
            told.append((number, f"the exemption of {word!r} is not needed"))
    return [f"{number}: {fault}" for number, fault in sorted(told)]


def main() -> int:
    """Look through all files that git knows; return the exit status."""
    words = Words.read()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    told = []
    for name in filter(words.reads, filter(None, listed.split("\0"))):
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        told += [f"{name}:{fault}" for fault in faults(text, words)]
    print("\n".join(told) or "No word of words.toml.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
