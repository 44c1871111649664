# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metric store: samples of the last seven days in two streams of Redis for each service.

``scaleout:metrics:<service>:raw`` has what was pushed during the last day, an entry for each push;
``scaleout:metrics:<service>:minutes`` has one mean a minute and instance of the six days before. What an entry holds,
``metric_codec`` says.

A push is one round trip. It brings back the oldest raw entries as well. Once the minute in which they arrived is a day
old, a second round trip, a transaction, adds their means and removes them. So the work of a push is bounded however
long the store was idle, no process of its own is needed, and a raw entry counts once: the mean has the id of the
newest entry that it was made of, which Redis refuses to a second writer, and a writer that dies before the
transaction has removed nothing. What is a day old, the store's own clock says, for those of the writers may disagree.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import ssl
import typing as t
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    InvalidInput,
    MissingLibrary,
    Refused,
    ScaleoutError,
    Stranger,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.source import Entries
from ansible_collections.scaleout.platform.plugins.plugin_utils.deadline import check
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_codec import (
    Document,
    Garbage,
    decode,
    distinct,
    encode,
    minute_means,
)

#: Seconds that raw samples are kept, and samples at all.
RAW_AGE = 24 * 3600
AGE = 7 * 24 * 3600
#: Raw entries that one push looks at to make means of them. More than one push adds, so that it catches up.
COMPACTED = 8
#: Runs that are kept: one every 30 s for seven days.
RUNS = 20_160
RUNS_KEY = "scaleout:runs"
#: A sample lies in the store by the time of its push, which is later: by the rest of its run.
_LATEST_PUSH = 2 * 3600
#: Seconds by which the clock of a host may be ahead of the store's.
_SKEW = 60
#: Entries that are read in one round trip.
_PAGE = 500
_MICRO = 1_000_000


class StoreFull(Refused):
    """The store has no memory left, and evicts nothing."""

    CODE = "store_full"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the store is reached.

    :param timeout: seconds to connect, and seconds for each answer.
    :param ca_file: who may have signed the store's certificate, as PEM; the system's own where it is empty.
    :param cert_file: a certificate of the client, for a store that wants one; ``key_file`` is its key.
    """

    host: str
    port: int = 6380
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    timeout: float = 2.0
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def configure(option: Callable[[str], t.Any], share: float = 1.0) -> Settings | None:
    """Return how the store is reached by the options of the callback ``push_metrics``; None where they name none.

    :param option: gives the value of an option by its name, such as ``store_host``.
    :param share: of ``store_timeout``, for each answer.
    :raises InvalidInput: the port or the time cannot be.
    """
    if not option("store_host"):
        return None
    check("store_timeout", option("store_timeout"))
    if not 0 < option("store_port") < 65536:
        raise InvalidInput("store_port", option("store_port"), "is not a port from 1 to 65535")
    files = {name: os.path.expanduser(option(f"store_{name}")) for name in ("ca_file", "cert_file", "key_file")}
    return Settings(
        # An address of IPv6 is in brackets where people write it with a port.
        host=option("store_host").strip("[]"),
        port=option("store_port"),
        user=option("store_user"),
        password=option("store_password"),
        timeout=option("store_timeout") * share,
        tls=option("store_tls"),
        **files,
    )


class Store:
    """The metric store. It connects when it is first asked, and :meth:`close` ends that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: t.Any = None

    def push(self, samples: Iterable[Document], run: Mapping[str, t.Any] | None = None) -> None:
        """Write samples, and what there is to say about the run that took them, in one round trip.

        :param samples: as ``metric_codec.sample`` returned them; of any services.
        :raises ScaleoutError: the store does not take them.
        """
        by_service: dict[str, list[Document]] = {}
        for document in distinct(samples):
            by_service.setdefault(document["service"], []).append(document)
        commands: list[tuple[t.Any, ...]] = [("TIME",)]
        for service, documents in by_service.items():
            commands.append(("XADD", raw_key(service), "*", "z", encode(documents)))
            commands.append(("XRANGE", raw_key(service), "-", "+", "COUNT", COMPACTED))
        if run is not None:
            packed = zlib.compress(json.dumps(run, separators=(",", ":")).encode())
            commands.append(("XADD", RUNS_KEY, "MAXLEN", "~", RUNS, "*", "z", packed))
        clock, *answers = self._ask(commands)
        failed = [answer for answer in answers if isinstance(answer, Exception)]
        full = any(_word(answer) == "OOM" for answer in failed)
        now = self._seconds(clock)
        for service, oldest in zip(by_service, answers[1::2]):
            if not isinstance(oldest, Exception):
                try:
                    self._compact(service, oldest, now, full)
                except (TypeError, ValueError):
                    # What is not a page of a stream.
                    raise self._stranger() from None
        if failed:
            raise self._refusal(failed[0])

    def _seconds(self, clock: t.Any) -> float:
        """Return the store's time."""
        if isinstance(clock, Exception):
            raise self._refusal(clock)
        try:
            seconds, micro = clock
            return int(seconds) + int(micro) / _MICRO
        except (TypeError, ValueError):
            raise self._stranger() from None

    def _compact(self, service: str, oldest: t.Any, now: float, full: bool) -> None:
        """Replace raw entries that are a day old by their means; those of a store that is full by nothing."""
        groups = due(oldest, now)
        if not groups:
            return
        last = groups[-1][-1][0]
        trim = ("XTRIM", raw_key(service), "MINID", "=", _id_after(last))
        if full:
            # Not even a transaction begins in a store that is full.
            self._ask([trim])
            return
        commands: list[tuple[t.Any, ...]] = [("XREVRANGE", minutes_key(service), "+", "-", "COUNT", 1)]
        for entries in groups:
            means = minute_means(one for _id, fields in entries for one in _samples_of(fields))
            if means:
                aged = ("MINID", "=", _id_at(now - AGE))
                commands.append(("XADD", minutes_key(service), *aged, entries[-1][0], "z", encode(means)))
        newest, *answers = self._ask([*commands, trim], transaction=True)
        failed = [answer for answer in (newest, *answers) if isinstance(answer, Exception)]
        # Another writer may have done the same just now. Its means have these ids already, and Redis refuses ours.
        if failed and (isinstance(newest, Exception) or not newest or _order(newest[0][0]) < _order(last)):
            raise self._refusal(failed[0])

    def entries(self, service: str, since: float, until: float) -> Entries:
        """Return the entries in which samples of a time may be, each with its place; and what is none.

        :raises ScaleoutError: the store does not answer.
        """
        found: list[tuple[str, bytes]] = []
        garbage: list[str] = []
        end = _id_at(until + _LATEST_PUSH)
        starts = dict.fromkeys((minutes_key(service), raw_key(service)), _id_at(since - _SKEW))
        while starts:
            pages = self._ask([("XRANGE", key, start, end, "COUNT", _PAGE) for key, start in starts.items()])
            for key, page in zip(tuple(starts), pages):
                del starts[key]
                if isinstance(page, Exception):
                    garbage.append(f"{key} is not a stream ({_word(page)})")
                    continue
                try:
                    if len(page) == _PAGE:
                        starts[key] = _id_after(page[-1][0])
                    for number, fields in page:
                        place = f"{key} {_text(number)}"
                        try:
                            found.append((place, _packed(fields)))
                        except Garbage as error:
                            garbage.append(f"{place} {error}")
                except (TypeError, ValueError):
                    raise self._stranger() from None
        return Entries(found, garbage)

    def runs(self, count: int = 100) -> list[dict[str, t.Any]]:
        """Return what was pushed about the newest runs, the newest first; what is garbage is left out.

        :raises ScaleoutError: the store does not answer.
        """
        (page,) = self._ask([("XREVRANGE", RUNS_KEY, "+", "-", "COUNT", count)])
        found = []
        for _id, fields in [] if isinstance(page, Exception) else page:
            try:
                run = json.loads(zlib.decompress(_packed(fields)))
            except (Garbage, zlib.error, ValueError):
                continue
            found += [run] if isinstance(run, dict) else []
        return found

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()

    def _ask(self, commands: Sequence[tuple[t.Any, ...]], transaction: bool = False) -> list[t.Any]:
        """Send commands at once and return an answer for each, an exception for one that was refused."""
        redis = _library()
        try:
            if self._client is None:
                self._client = self._connection(redis)
            pipeline = self._client.pipeline(transaction=transaction)
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))
        except redis.exceptions.RedisError as error:
            raise self._failure(redis.exceptions, error) from None
        except OSError as error:
            # A file of TLS that cannot be read.
            raise self._unreachable(error.strerror or type(error).__name__) from None
        except UnicodeError:
            # A label of its name is empty or too long.
            raise self._unreachable("this cannot be the name of a host") from None
        except ValueError:
            # An answer that is no answer of Redis.
            raise self._stranger() from None

    def _failure(self, kinds: t.Any, error: Exception) -> ScaleoutError:
        """Return the error for one of redis-py's."""
        if isinstance(error, kinds.TimeoutError):
            return self._unreachable(f"no answer within {self._settings.timeout:g} s")
        if isinstance(error, kinds.InvalidResponse):
            return self._stranger()
        if isinstance(error, kinds.ConnectionError) and not isinstance(error, kinds.AuthenticationError):
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ssl.SSLCertVerificationError):
                return self._stranger(f"its certificate is not valid ({cause.verify_message})")
            return self._unreachable(str(getattr(cause, "strerror", None) or "the connection was closed"))
        return self._refusal(error)

    def _connection(self, redis: t.Any) -> t.Any:
        given = self._settings
        options: dict[str, t.Any] = {
            "host": given.host,
            "port": given.port,
            "username": given.user or None,
            "password": given.password or None,
            "socket_connect_timeout": given.timeout,
            "socket_timeout": given.timeout,
            # One attempt, and no questions beside ours: each would be a round trip.
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            "protocol": 2,
        }
        known = inspect.signature(redis.Redis.__init__).parameters
        silent = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
        options.update(dict.fromkeys(silent))
        if given.tls:
            options.update(ssl=True, ssl_cert_reqs="required", ssl_check_hostname=True)
            files = {"ssl_ca_certs": given.ca_file, "ssl_certfile": given.cert_file, "ssl_keyfile": given.key_file}
            options.update({name: path for name, path in files.items() if path})
        client = redis.Redis(**options)
        # Answers as they came: to shape them takes time, and fails where they are not what was expected.
        client.response_callbacks.clear()
        return client

    def _refusal(self, error: Exception) -> ScaleoutError:
        """Return the error for what the store said; its own text may hold what we sent."""
        word = _word(error)
        where = ("the metric store", self._settings.host, self._settings.port)
        if word == "OOM":
            return StoreFull(
                f"The metric store at {self._settings.host}:{self._settings.port} is full. Raise its maxmemory."
            )
        if word in ("NOAUTH", "WRONGPASS", "NOPERM") or type(error).__name__.startswith("Auth"):
            return Denied(*where, f"it refuses the login ({word or 'no reason'})")
        return UnexpectedAnswer(*where, f"it refused the command ({word or 'no reason'})")

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable("the metric store", self._settings.host, self._settings.port, reason)

    def _stranger(self, reason: str = "what answers is not Redis") -> Stranger:
        return Stranger("the metric store", self._settings.host, self._settings.port, reason)


def raw_key(service: str) -> str:
    """Return the key of the stream with what was pushed of a service."""
    return f"scaleout:metrics:{service}:raw"


def minutes_key(service: str) -> str:
    """Return the key of the stream with a service's means of minutes."""
    return f"scaleout:metrics:{service}:minutes"


def due(entries: t.Any, now: float) -> list[list[tuple[str, t.Any]]]:
    """Return the entries of a raw stream whose minute is a day old, grouped by the minute in which they arrived.

    :param entries: the oldest ones, as Redis returns them.
    :param now: the store's time, in seconds since 1970.
    """
    last_minute = int((now - RAW_AGE) // 60)
    groups: dict[int, list[tuple[str, t.Any]]] = {}
    for number, fields in entries:
        identifier = _text(number)
        minute = int(identifier.partition("-")[0]) // 60_000
        if minute < last_minute:
            groups.setdefault(minute, []).append((identifier, fields))
    return [groups[minute] for minute in sorted(groups)]


def _samples_of(fields: t.Any) -> list[Document]:
    """Return the samples of an entry; none where it is garbage."""
    try:
        return decode(_packed(fields))
    except Garbage:
        return []


def _packed(fields: t.Any) -> bytes:
    if not isinstance(fields, list) or b"z" not in fields[::2]:
        raise Garbage("has no field z")
    return bytes(dict(zip(fields[::2], fields[1::2]))[b"z"])


def _id_at(seconds: float) -> str:
    return f"{max(0, int(seconds * 1000))}-0"


def _id_after(number: t.Any) -> str:
    milliseconds, sequence = _order(number)
    return f"{milliseconds}-{sequence + 1}"


def _order(number: t.Any) -> tuple[int, ...]:
    """Return what orders ids of a stream."""
    return tuple(int(part) for part in _text(number).split("-"))


def _text(value: t.Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _word(error: Exception) -> str:
    """Return the code with which an error of Redis begins, such as OOM; redis-py keeps some of them as types only."""
    known = {
        "OutOfMemoryError": "OOM",
        "NoPermissionError": "NOPERM",
        "AuthenticationWrongNumberOfArgsError": "NOAUTH",
        "AuthenticationError": "NOAUTH",
        "ReadOnlyError": "READONLY",
        "BusyLoadingError": "LOADING",
    }
    name = type(error).__name__
    first = str(error).partition(" ")[0]
    return known.get(name) or (first if first.isalpha() and first.isupper() else "")


def _library() -> t.Any:
    try:
        import redis  # Here, since ansible-core does not bring it.
        import redis.backoff
        import redis.exceptions
        import redis.retry
    except ImportError:
        raise MissingLibrary("redis") from None
    return redis


def load_library() -> None:
    """Import the package that speaks to Redis now, and not in a thread that may be left behind.

    :raises MissingLibrary: it is not installed.
    """
    _library()
