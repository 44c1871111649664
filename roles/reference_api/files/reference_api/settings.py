# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration: environment variables only, read once at the start."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

Number = t.TypeVar("Number", int, float)

#: What may be cached; each kind may have a server of its own.
CACHED_KINDS = ("tasks", "habits", "goals", "users")


class SettingsError(Exception):
    """A variable that is missing or makes no sense; the message is one sentence that names it."""


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Amqp:
    """The message broker; the user needs the right to declare, write and read in the vhost."""

    address: Endpoint
    vhost: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class AnalyticsDatabase:
    """Its user and password are those of the shards.

    :param addresses: of the servers that have it; one of them takes writes.
    """

    addresses: tuple[Endpoint, ...]
    database: str


@dataclass(frozen=True)
class Settings:
    """All times are in seconds.

    :param database_user: the role that owns every shard's database.
    :param port: the TCP port of the HTTP server.
    :param listen_addresses: the IP addresses that it listens on.
    :param shard_map_key: the key in Consul's KV that holds the shard map.
    :param consul_http_addr: the local Consul agent, ``http://host:port``.
    :param consul_http_token: a token that may read the key; empty for an anonymous reader.
    :param pool_min: connections kept open to each database of each server.
    :param pool_max: the most connections to one database of one server.
    :param pool_idle_timeout: how long a connection above ``pool_min`` stays unused before it is closed.
    :param pool_connect_timeout: the longest that a request waits for a connection.
    :param statement_timeout: the longest that PostgreSQL works on one statement.
    :param replica_max_lag: a replica that is further behind serves no request without a proof (see ``freshness.py``).
    :param caches: the Redis server for each kind of row that is cached, such as ``tasks``; a kind without one is not.
    :param cache_password: of every cache; empty for none.
    :param cache_ttl: the longest that an entry is served, whatever happens (see ``cache/``).
    :param amqp: the broker of the events; None: they stay in the outbox.
    :param analytics_database: None: there are no analytics.
    """

    database_user: str
    database_password: str
    port: int = 8000
    listen_addresses: tuple[str, ...] = ("0.0.0.0",)
    shard_map_key: str = "scaleout/shard_map"
    consul_http_addr: str = "http://127.0.0.1:8500"
    consul_http_token: str = ""
    pool_min: int = 1
    pool_max: int = 10
    pool_idle_timeout: float = 300.0
    pool_connect_timeout: float = 2.0
    statement_timeout: float = 2.0
    replica_max_lag: float = 1.0
    caches: t.Mapping[str, Endpoint] = field(default_factory=dict)
    cache_password: str = ""
    cache_ttl: float = 60.0
    amqp: Amqp | None = None
    analytics_database: AnalyticsDatabase | None = None

    @classmethod
    def from_environment(cls, environment: t.Mapping[str, str]) -> Settings:
        """Read the settings; a variable has the name of its field in capitals.

        :raises SettingsError: on the first variable that is missing or wrong.
        """
        read = _Reader(environment)
        settings = cls(
            database_user=read.text("DATABASE_USER"),
            database_password=read.text("DATABASE_PASSWORD"),
            port=read.whole("PORT", cls.port, 1, 65535),
            listen_addresses=read.addresses("LISTEN_ADDRESSES", cls.listen_addresses),
            shard_map_key=read.text("SHARD_MAP_KEY", cls.shard_map_key),
            consul_http_addr=read.address("CONSUL_HTTP_ADDR", cls.consul_http_addr),
            consul_http_token=environment.get("CONSUL_HTTP_TOKEN", ""),
            pool_min=read.whole("POOL_MIN", cls.pool_min, 0, 1000),
            pool_max=read.whole("POOL_MAX", cls.pool_max, 1, 1000),
            pool_idle_timeout=read.seconds("POOL_IDLE_TIMEOUT", cls.pool_idle_timeout, 1, 86400),
            pool_connect_timeout=read.seconds("POOL_CONNECT_TIMEOUT", cls.pool_connect_timeout, 0.1, 60),
            statement_timeout=read.seconds("STATEMENT_TIMEOUT", cls.statement_timeout, 0.1, 60),
            replica_max_lag=read.seconds("REPLICA_MAX_LAG", cls.replica_max_lag, 0.1, 3600),
            caches=read.caches("CACHES"),
            cache_password=environment.get("CACHE_PASSWORD", ""),
            cache_ttl=read.seconds("CACHE_TTL", cls.cache_ttl, 1, 3600),
            amqp=read.amqp(),
            analytics_database=read.analytics_database("ANALYTICS_DATABASE"),
        )
        if settings.pool_min > settings.pool_max:
            raise SettingsError(f"POOL_MIN is {settings.pool_min}, more than POOL_MAX, which is {settings.pool_max}.")
        return settings


class _Reader:
    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environment.get(name) or default
        if value is None:
            raise SettingsError(f"The environment variable {name} is not set.")
        return value

    def address(self, name: str, default: str) -> str:
        text = self.text(name, default)
        if not re.fullmatch(r"https?://[^/?#\s]+/?", text):
            raise SettingsError(f"The environment variable {name} is {text!r}, not an address such as {default}.")
        return text

    def addresses(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        parts = [part.strip() for part in self._environment.get(name, "").split(",") if part.strip()]
        try:
            addresses = [ipaddress.ip_address(part) for part in parts]
        except ValueError as error:
            raise SettingsError(f"The environment variable {name} is no list of IP addresses: {error}.") from None
        # Who listens on all addresses of a family cannot listen on one of them as well, nor twice on the same.
        all_of = {address.version for address in addresses if address.is_unspecified}
        kept = [str(address) for address in addresses if address.is_unspecified or address.version not in all_of]
        return tuple(dict.fromkeys(kept)) or default

    def endpoint(self, name: str, text: str) -> Endpoint:
        # What is behind the last colon is the port, so that an address of IPv6 needs no brackets.
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f.:]+)\]|([A-Za-z0-9._-]+|[0-9A-Fa-f.:]+)):([0-9]{1,5})", text)
        host = (match.group(1) or match.group(2)) if match else ""
        if not match or not 1 <= int(match.group(3)) <= 65535 or (":" in host and not _is_address(host)):
            raise SettingsError(f"The environment variable {name} has {text!r} where host:port belongs.")
        return Endpoint(host, int(match.group(3)))

    def caches(self, name: str) -> dict[str, Endpoint]:
        caches: dict[str, Endpoint] = {}
        for part in filter(None, (part.strip() for part in self._environment.get(name, "").split(","))):
            kind, _unused, address = part.partition("=")
            if kind not in CACHED_KINDS or kind in caches:
                known = ", ".join(CACHED_KINDS)
                raise SettingsError(f"The environment variable {name} has {kind!r} where one of {known} belongs, once.")
            caches[kind] = self.endpoint(name, address)
        return caches

    def amqp(self) -> Amqp | None:
        if not self._environment.get("AMQP_ADDRESS"):
            return None
        return Amqp(
            self.endpoint("AMQP_ADDRESS", self.text("AMQP_ADDRESS")),
            self.text("AMQP_VHOST", "/"),
            self.text("AMQP_USER"),
            self.text("AMQP_PASSWORD"),
        )

    def analytics_database(self, name: str) -> AnalyticsDatabase | None:
        text = self._environment.get(name, "")
        if not text:
            return None
        addresses, _unused, database = text.partition("/")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", database):
            raise SettingsError(f"The environment variable {name} is {text!r}, not such as ana1:5432/analytics.")
        return AnalyticsDatabase(tuple(self.endpoint(name, address) for address in addresses.split(",")), database)

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        return self._number(name, int, "a whole number", default, least, most)

    def seconds(self, name: str, default: float, least: float, most: float) -> float:
        return self._number(name, float, "a number of seconds", default, least, most)

    def _number(
        self, name: str, kind: t.Callable[[str], Number], what: str, default: Number, least: float, most: float
    ) -> Number:
        text = self._environment.get(name, "")
        if not text:
            return default
        try:
            value = kind(text)
            # NaN compares as false, so it is refused here as well.
            if least <= value <= most:
                return value
        except ValueError:
            pass
        raise SettingsError(f"The environment variable {name} is {text!r}, not {what} from {least} to {most}.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
