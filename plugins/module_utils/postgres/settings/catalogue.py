# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PostgreSQL knows of its settings and does not say in ``pg_settings``.

Names are in lower case. Source: the flags and check functions in the
server's ``guc_tables.c``; tests/integration compares them with a server.
"""

from __future__ import annotations

QUOTED_LISTS = frozenset(
    {
        "local_preload_libraries",
        "output_plugin_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
"""Lists whose elements the server quotes by itself (GUC_LIST_QUOTE).

ALTER SYSTEM wants each element as a literal of its own: one literal that
holds a comma becomes one element with a comma in its name.
"""

PLAIN_LISTS = frozenset(
    {
        "createrole_self_grant",
        "datestyle",
        "debug_io_direct",
        "listen_addresses",
        "log_destination",
        "plpgsql.extra_errors",
        "plpgsql.extra_warnings",
        "restrict_nonsystem_relation_kind",
        "synchronized_standby_slots",
        "synchronous_standby_names",
        "wal_consistency_checking",
    }
)
"""Lists that the server takes as one text with commas (GUC_LIST_INPUT alone); capitals mean nothing in them."""

IDENTIFIER_LISTS = frozenset({"search_path", "temp_tablespaces"})
"""Quoted lists of SQL identifiers: what is not quoted has no capitals.

Here ``''``, which the server stores as one element without a name, means the
empty list. In other quoted lists it is a library or a directory without a
name, and the server does not start.
"""

NOT_IN_AUTO_CONF = frozenset(
    {
        "allow_alter_system",
        "config_file",
        "data_directory",
        "transaction_deferrable",
        "transaction_isolation",
        "transaction_read_only",
    }
)
"""Settings that ALTER SYSTEM refuses although their context is not ``internal``."""

REWRITTEN = frozenset(
    {
        "client_encoding",
        "datestyle",
        "default_text_search_config",
        "external_pid_file",
        "log_directory",
        "log_timezone",
        "promote_trigger_file",
        "stats_temp_directory",
        "timezone",
    }
)
"""Texts that the server may show otherwise than they were written (``iso`` as ``ISO, MDY``)."""

OCTAL = frozenset({"log_file_mode", "unix_socket_permissions"})
"""Integers that the server shows as a file mode."""

ENUM_ALIASES = {
    ("wal_level", "archive"): "replica",
    ("wal_level", "hot_standby"): "replica",
    ("icu_validation_level", "debug"): "debug2",
    ("wal_compression", "on"): "pglz",
    ("client_min_messages", "debug"): "debug2",
    ("log_min_messages", "debug"): "debug2",
    ("log_min_error_statement", "debug"): "debug2",
}
"""Two words for one value: what may be written, and what the server then shows."""

SECRETS = frozenset({"ssl_passphrase_command"})
"""Settings whose whole value is hidden in results."""
