# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``consul_host_token``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_host_token
short_description: Compute the secret of a host's token of Consul
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Returns the UUID of the token that M(scaleout.platform.consul_tokens) makes for a host. It is an HMAC-SHA256 of the
    host's name, with the input as its key, cut to a UUID.
positional: host
options:
  _input:
    description: The UUID that all hosts' secrets follow from, C(consul_agent_token).
    type: str
    required: true
  host:
    description: Name of the host in the inventory.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask the agent of this host
  ansible.builtin.uri:
    url: http://127.0.0.1:8500/v1/agent/services
    headers:
      X-Consul-Token: "{{ consul_agent_token | scaleout.platform.consul_host_token(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The secret.
  type: str
"""

import typing as t
import uuid

from ansible.errors import AnsibleFilterError

from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import secret_of


def consul_host_token(shared: t.Any, host: t.Any) -> str:
    """Return the secret of a host's token.

    :raises AnsibleFilterError: the input is no UUID, or there is no name.
    """
    try:
        uuid.UUID(str(shared))
    except ValueError:
        raise AnsibleFilterError("consul_host_token: the input is not a UUID.") from None
    if not isinstance(host, str) or not host:
        raise AnsibleFilterError("consul_host_token: the name of a host is required.")
    return secret_of(str(shared), str(host))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"consul_host_token": consul_host_token}
