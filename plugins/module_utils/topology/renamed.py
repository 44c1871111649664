# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What inventories of earlier releases call otherwise; preflight refuses the old name and says the new one.

Whoever renames or removes a public variable or a group adds a row. A test holds the variables of every release.
"""

from __future__ import annotations

#: Variables of earlier releases, and what says the same now.
VARIABLES = {
    "platform_application_role": "applications",
    "platform_application_secrets": "applications",
    "postgres_databases": "postgres_clusters",
    "postgres_primary": "postgres_cluster",
    "postgres_role": "postgres_cluster",
    "postgres_shards": "postgres_clusters",
    "redis_consul_service_name": "redis_instances",
}
_INSTALLS = "playbooks/site.yml installs the packages of all services first"
#: Variables of earlier releases that nothing replaces, and why none has to.
REMOVED = {
    "app_skip_install": _INSTALLS,
    "consul_service": "each role registers its own service, and the role consul's tasks_from: service takes it in vars",
    "consul_skip_install": _INSTALLS,
    "nginx_skip_install": _INSTALLS,
    "pgbouncer_skip_install": _INSTALLS,
    "postgres_skip_install": _INSTALLS,
    "rabbitmq_skip_install": _INSTALLS,
    "redis_skip_install": _INSTALLS,
}
#: Groups of earlier releases, and their names now.
GROUPS = {"fleet_standby": "fleet_spare"}
#: Options of the inventory plugin, and their names now.
INVENTORY_OPTIONS = {"standby_group": "spare_group"}
