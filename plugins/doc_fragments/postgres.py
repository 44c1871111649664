# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection options that all PostgreSQL modules of the collection share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Name or address of the server.
      - When empty, the connection goes through a unix socket on the host where the module runs.
    type: str
    default: ''
  login_port:
    description: Port of the server; it is also part of the name of a unix socket.
    type: int
    default: 5432
  login_unix_socket:
    description:
      - Directory of the server's unix socket.
      - When not given, it is the directory that the host's libpq was built with, V(/var/run/postgresql) on Debian.
      - Excludes O(login_host).
    type: path
  login_db:
    description: Database to connect to.
    type: str
    default: postgres
requirements:
  - psycopg2 on the host where the module runs (C(python3-psycopg2) on Debian).
notes:
  - Tested with PostgreSQL 15 and 17; refused on versions before 14.
  - With the default options run the task with C(become_user=postgres), so that C(peer) lets it in.
  - Connect to the server itself. Behind a pooler in transaction mode, such as PgBouncer, the modules leave nothing in
    the sessions that they share with others, except that an output plugin for a new logical slot stays loaded there.
"""

    # Who the client is to a server, wherever that is.
    CLIENT = r"""
options:
  login_user:
    description:
      - Name of the role to connect as.
      - When empty, it is the name of the operating system's user, which the server's C(peer) method expects.
    type: str
    default: ''
  login_password:
    description: Password of O(login_user).
    type: str
    default: ''
  ssl_mode:
    description:
      - Whether and how strictly a connection by TCP is encrypted and its server checked.
      - The modes are those of libpq, see U(https://www.postgresql.org/docs/current/libpq-ssl.html).
    type: str
    default: prefer
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  ca_cert:
    description: File with the certificates of the authorities that may have signed the server's certificate.
    type: path
    aliases: [ssl_rootcert]
  ssl_cert:
    description: File with the certificate that the client shows to the server.
    type: path
  ssl_key:
    description: File with the secret key of O(ssl_cert), which no other user may read.
    type: path
  connect_params:
    description:
      - Other parameters of libpq by their names, such as C(keepalives_idle) or C(connect_timeout).
      - What has an option of its own is refused here.
      - The names are those of U(https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS).
    type: dict
    default: {}
"""
