# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles of applications on a PostgreSQL server: who owns a database, and who may log in to it; pure.

PostgreSQL keeps one password for a role. So that a new password and the one before are both valid while an application
is rolled out, a user of its own logs in with each, and acts as the owner.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Database, Platform


def databases(platform: Platform, cluster: Cluster) -> list[tuple[str, Database]]:
    """Return the databases of applications in a cluster, each with the application's name."""
    return [
        (one.name, one.database)
        for one in platform.applications.values()
        if one.database and one.database.cluster == cluster.name
    ]


def roles(platform: Platform, cluster: Cluster, server: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the roles that there have to be, owners before users, and those that may no longer log in.

    The password of one with an ``application`` is in that application's entry.

    :param server: what the server says of itself; ``logins`` are the roles that may log in, and what each acts as.
    """
    found: list[dict[str, t.Any]] = []
    for application, database in databases(platform, cluster):
        if database.login != database.owner:
            found.append(_role(database.owner, database.owner == database.previous_user))
        user = {**_role(database.login, True), "application": application}
        acts = {"configuration": {"role": database.owner}} if database.login != database.owner else {}
        found.append({**user, **acts})
        found += [
            _role(name, False)
            for name, acts_as in sorted(server.get("logins", {}).items())
            if acts_as == database.owner and name not in (database.login, database.previous_user, database.owner)
        ]
    return found


def memberships(platform: Platform, cluster: Cluster, users: t.Any = ()) -> list[dict[str, str]]:
    """Return the users that act as an owner, those of applications and those that are declared to.

    :param users: ``postgres_users``, of which one acts as what its ``configuration`` has as its ``role``.
    """
    found = [
        {"owner": database.owner, "user": database.login}
        for _application, database in databases(platform, cluster)
        if database.login != database.owner
    ]
    for user in users if isinstance(users, (list, tuple)) else ():
        settings = user.get("configuration")
        if isinstance(settings, t.Mapping) and settings.get("role"):
            found.append({"owner": str(settings["role"]), "user": str(user["name"])})
    return found


def _role(name: str, logs_in: bool) -> dict[str, t.Any]:
    return {"name": name, "role_attr_flags": "LOGIN" if logs_in else "NOLOGIN"}
