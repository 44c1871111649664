# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drivers by the name that a role gives. They are imported here by name, since only that travels to a host."""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import (
    consul,
    firewall,
    nginx,
    patroni,
    pgbouncer,
    rabbitmq,
    redis,
    unit,
)

DRIVERS: dict[str, type[unit.Driver]] = {
    "unit": unit.Driver,
    "consul": consul.Member,
    "consul_service": consul.Registration,
    "firewall": firewall.Firewall,
    "nginx": nginx.Nginx,
    "nginx_watch": nginx.Watch,
    "patroni": patroni.Member,
    "pgbouncer": pgbouncer.PgBouncer,
    "rabbitmq": rabbitmq.Rabbitmq,
    "redis": redis.Redis,
}
