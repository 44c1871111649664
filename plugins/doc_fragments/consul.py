# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach Consul: the options of ``module_utils/consul/client.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  consul_host:
    description: Name or address of the Consul agent, as the host that runs the module reaches it.
    type: str
    default: 127.0.0.1
  consul_port:
    description: Port of the agent's HTTP API.
    type: int
    default: 8500
  consul_scheme:
    description: Whether the HTTP API is spoken in the clear or over TLS.
    type: str
    choices: [http, https]
    default: http
  consul_token:
    description:
      - SecretID of the ACL token to use.
      - Without one, Consul applies the rights of its anonymous token.
    type: str
  consul_timeout:
    description: Seconds that Consul may take to accept the connection, and then to answer.
    type: float
    default: 10.0
    aliases: [timeout]
  consul_ca_file:
    description:
      - File with the certificates of the authorities to trust, on the host that runs the module.
      - Without one, those of the operating system are trusted.
    type: path
  consul_validate_certs:
    description: Whether a certificate that cannot be verified is an error, when O(consul_scheme=https).
    type: bool
    default: true
"""
