# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a word of tools/ci/words.toml is refused, what only looks like one, and what an exemption needs."""

from __future__ import annotations

import prose
import pytest

WORDS = prose.Words.read()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Nobody reads it.", ["1: 'nobody': write no one"]),
        ("# fine\n# and created anew", ["2: 'anew': write again"]),
        ("def wishes_of(slots):", ["1: 'wishes': write desired values"]),
        ("class WishList:", ["1: 'wish': write want"]),
        ("NOBODY = 1", ["1: 'nobody': write no one"]),
        ("_verdict = 'x'", ["1: 'verdict': write result"]),
        ("- name: Mend it", ["1: 'mend': write repair"]),
        ("'somebody''s'", ["1: 'somebody': write someone"]),
        ("it waits for ever", ["1: 'for ever': write forever"]),
        ("# it waits for\n# ever", ["1: 'for ever': write forever"]),
        ("two standby VMs", ["1: 'standby VM': write spare VM"]),
        ("a standby VM", ["1: 'standby VM': write spare VM"]),
        # Each of a line's words is told, each of them once.
        ("nobody, nobody, somebody", ["1: 'nobody'", "1: 'somebody'"]),
        # Not these words.
        ("recommended, commendable, amendment", []),
        ("somebodyelse sweeper wishbone", []),
        ("run it for everything", []),
        ("", []),
    ],
)
def test_words_that_are_refused(text, told):
    found = prose.faults(text, WORDS)
    assert len(found) == len(told)
    assert all(fault.startswith(start) for fault, start in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("User=nobody  # prose: allow nobody: an account of Debian's", []),
        ("# prose: allow nobody: an account of Debian's\nUser=nobody", []),
        ("<!-- prose: allow mend: the tool's own word -->\nRun mend.", []),
        # It counts for its own line and the next, and for its own word.
        ("# prose: allow nobody: an account of Debian's\n\nUser=nobody", ["1: the exemption", "3: 'nobody'"]),
        ("# prose: allow mend: an account of Debian's\nUser=nobody", ["1: the exemption", "2: 'nobody'"]),
        ("User=nobody  # prose: allow nobody: because", ["1: the exemption of 'nobody' has no reason of 3 words"]),
        ("User=nobody  # prose: allow nobody:", ["1: the exemption of 'nobody' has no reason of 3 words"]),
        ("<!-- prose: allow mend: it is -->\nRun mend.", ["1: the exemption of 'mend' has no reason of 3 words"]),
        ("# prose: allow nobody: an account of Debian's", ["1: the exemption of 'nobody' is not needed"]),
    ],
)
def test_an_exemption_needs_a_reason_and_a_use(text, told):
    found = prose.faults(text, WORDS)
    assert len(found) == len(told), found
    assert all(fault.startswith(start) for fault, start in zip(found, told, strict=True))


def test_each_word_says_what_to_write_instead():
    assert all(instead.strip() for instead in (*WORDS.words.values(), *WORDS.phrases.values()))
    # A replacement that is refused itself would send people round in a circle.
    for word, instead in (*WORDS.words.items(), *WORDS.phrases.items()):
        assert not [one for _line, one, _instead in prose.found(instead, WORDS)], word


def test_others_texts_are_not_read():
    assert not WORDS.reads("LICENSE")
    assert not WORDS.reads("LICENSES/GPL-3.0-or-later.txt")
    assert WORDS.reads("docs/glossary.md")


def test_there_is_none():
    assert prose.main() == 0
