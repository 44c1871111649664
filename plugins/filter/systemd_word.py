# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``systemd_word``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_word
short_description: Write a word of a command line for a systemd unit
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Quotes a word so that C(ExecStart=) and the like pass it on as it is, whatever characters it has.
  - systemd does not expand the first word of a command as it does the others; that one is not to be quoted by this.
options:
  _input:
    description: The word.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Write a command line
  ansible.builtin.debug:
    msg: "ExecStart=/usr/bin/echo {{ '100 % of $HOME' | scaleout.platform.systemd_word }}"
"""

RETURN = r"""
_value:
  description: The word, quoted.
  type: str
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.services.app import systemd_word


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"systemd_word": systemd_word}
