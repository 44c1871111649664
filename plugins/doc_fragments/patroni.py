# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach Patroni: the options of ``module_utils/patroni.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  patroni_host:
    description: Name or address of a member of the cluster, as the host that runs the module reaches it.
    type: str
  patroni_port:
    description: Port of Patroni's REST API there.
    type: int
    default: 8008
  patroni_scheme:
    description: Whether the REST API is spoken in the clear or over TLS.
    type: str
    choices: [http, https]
    default: http
  patroni_user:
    description:
      - Name of the login that Patroni's configuration has under C(restapi), C(authentication).
      - Patroni asks for it where something changes, and never for what is only read.
    type: str
  patroni_password:
    description: Password of that login.
    type: str
  patroni_timeout:
    description: Seconds that Patroni may take to accept the connection, and then to answer.
    type: float
    default: 10.0
  patroni_ca_file:
    description:
      - File with the certificates of the authorities to trust, on the host that runs the module.
      - Without one, those of the operating system are trusted.
    type: path
  patroni_cert_file:
    description: File with the certificate to show, where Patroni's C(verify_client) asks for one.
    type: path
  patroni_key_file:
    description: File with its private key, where O(patroni_cert_file) does not hold it too.
    type: path
  patroni_validate_certs:
    description: Whether a certificate that cannot be verified is an error, when O(patroni_scheme=https).
    type: bool
    default: true
"""
