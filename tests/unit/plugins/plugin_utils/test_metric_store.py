# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metric store on a real Redis."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    InvalidInput,
    Stranger,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.plugin_utils import metric_codec, metric_store
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import Settings, Store, StoreFull
from tests.unit import redis_server
from tests.unit.plugins.plugin_utils.samples import document, samples_in

DAY = 24 * 3600
OPTIONS = {"store_host": "192.0.2.1", "store_port": 6380, "store_timeout": 2.0, "store_tls": False}
OPTIONS |= dict.fromkeys(["store_user", "store_password", "store_ca_file", "store_cert_file", "store_key_file"], "")


@pytest.fixture(name="store")
def _store(store_settings):
    with contextlib.closing(Store(store_settings)) as store:
        yield store


def samples(*documents):
    return [metric_codec.sample(one) for one in documents]


def raw_entry(server, documents, at, service="shop"):
    """Put an entry into the raw stream as if it had been pushed at that time."""
    packed = metric_codec.encode(samples(*documents))
    return server.xadd(f"scaleout:metrics:{service}:raw", {"z": packed}, id=f"{int(at * 1000)}-0")


def test_what_is_pushed_is_read(store):
    now = int(time.time())
    pushed = samples(document("shop1", now), document("shop2", now - 20), document("x", now, service="other"))
    store.push(pushed, {"run": "a"})
    assert samples_in(store, "shop", now - 60, now) == ([pushed[1], pushed[0]], [])
    assert samples_in(store, "shop", now - 10, now)[0] == [pushed[0]]
    assert samples_in(store, "nothing", now - 60, now)[0] == []
    assert store.runs() == [{"run": "a"}]


def test_a_push_is_one_round_trip(store, server):
    now = int(time.time())
    store.push([], None)
    before = server.info("stats")["total_reads_processed"]
    store.push(samples(*(document(f"shop{n}", now) for n in range(20)), document("x", now, service="other")), {"a": 1})
    # The second question of this test is a read as well.
    assert server.info("stats")["total_reads_processed"] - before == 2


def test_duplicates_are_harmless(store):
    now = int(time.time())
    pushed = samples(document("shop1", now))
    for _time in range(3):
        store.push(pushed * 2)
    assert samples_in(store, "shop", now - 1, now + 1)[0] == pushed


def test_more_than_a_page_is_read(store, server, monkeypatch):
    monkeypatch.setattr(metric_store, "_PAGE", 3)
    now = int(time.time())
    for number in range(7):
        raw_entry(server, [document("shop1", now - 100 + number)], now - 100 + number)
    assert len(samples_in(store, "shop", now - 200, now)[0]) == 7


def test_a_minute_that_is_a_day_old_becomes_one_sample(store, server):
    now = int(time.time())
    minute = (now - DAY - 600) // 60 * 60
    for second, usage in ((0, 10.0), (15, 20.0), (30, 30.0), (45, 60.0)):
        raw_entry(server, [document("shop1", minute + second, cpu={"usage": usage})], minute + second + 1)
    raw_entry(server, [document("shop1", now - DAY + 120)], now - DAY + 120)
    store.push(samples(document("shop1", now)))
    found = samples_in(store, "shop", now - 2 * DAY, now)[0]
    assert [one["metrics"]["cpu"]["usage"] for one in found] == [30.0, 50.0, 50.0]
    assert found[0]["timestamp"] == minute + 45
    assert server.xlen("scaleout:metrics:shop:raw") == 2
    # Another push of the same minute's samples finds nothing to do.
    store.push(samples(document("shop1", now + 1)))
    assert server.xlen("scaleout:metrics:shop:minutes") == 1


def test_two_writers_make_one_mean(server, store_settings):
    """Both have seen the same old entries before either of them removes any."""
    now = int(time.time())
    minute = (now - DAY - 600) // 60 * 60
    for second in (0, 30):
        raw_entry(server, [document("shop1", minute + second)], minute + second)
    oldest = [(number, [b"z", fields[b"z"]]) for number, fields in server.xrange("scaleout:metrics:shop:raw")]
    for _writer in range(2):
        Store(store_settings)._compact("shop", oldest, now, False)
    assert server.xlen("scaleout:metrics:shop:minutes") == 1
    assert server.xlen("scaleout:metrics:shop:raw") == 0


def dies(*_arguments):
    raise KeyboardInterrupt


def test_a_writer_that_dies_before_it_has_written_the_means_loses_nothing(store, server, store_settings, monkeypatch):
    now = int(time.time())
    raw_entry(server, [document("shop1", now - DAY - 600)], now - DAY - 600)
    dying = Store(store_settings)
    monkeypatch.setattr(dying, "_compact", dies)
    with pytest.raises(KeyboardInterrupt):
        dying.push(samples(document("shop1", now)))
    store.push(samples(document("shop1", now)))
    assert len(samples_in(store, "shop", now - 2 * DAY, now)[0]) == 2


def test_a_push_after_a_long_silence_does_a_bounded_amount_of_work(store, server):
    now = int(time.time())
    for minute in range(30):
        at = now - 3 * DAY + 60 * minute
        raw_entry(server, [document("shop1", at)], at)
    lengths = []
    for second in range(5):
        store.push(samples(document("shop1", now + second)))
        lengths.append(server.xlen("scaleout:metrics:shop:raw"))
    assert lengths == [23, 16, 9, 4, 5]
    assert len(samples_in(store, "shop", now - 4 * DAY, now + 10)[0]) == 35


def test_nothing_is_older_than_seven_days(store, server):
    now = int(time.time())
    for days in (8, 7.1, 6.9, 2):
        raw_entry(server, [document("shop1", now - days * DAY)], now - days * DAY)
    store.push(samples(document("shop1", now)))
    ages = [round((now - one["timestamp"]) / DAY, 1) for one in samples_in(store, "shop", 0, now)[0]]
    assert ages == [6.9, 2.0, 0.0]


def test_a_clock_of_a_writer_that_is_wrong_removes_nothing(store, server, monkeypatch):
    now = int(time.time())
    store.push(samples(document("shop1", now)))
    monkeypatch.setattr(time, "time", lambda: now + 400 * DAY)
    store.push(samples(document("shop1", now + 400 * DAY)))
    assert server.xlen("scaleout:metrics:shop:raw") == 2


def test_garbage_is_skipped_and_named(store, server):
    now = int(time.time())
    store.push(samples(document("shop1", now)))
    key = "scaleout:metrics:shop:raw"
    server.xadd(key, {"z": b"\xff\x00garbage"})
    server.xadd(key, {"other": "field"})
    server.set("scaleout:metrics:shop:minutes", "a text")
    found, garbage = samples_in(store, "shop", now - 60, now + 60)
    assert len(found) == 1
    assert len(garbage) == 3
    assert sorted(one.partition(" ")[0] for one in garbage) == [
        "scaleout:metrics:shop:minutes",
        *[key] * 2,
    ]
    assert [one for one in garbage if one.endswith(("is not compressed JSON", "has no field z", "(WRONGTYPE)"))]


def test_old_garbage_is_removed_with_the_rest(store, server):
    now = int(time.time())
    server.xadd("scaleout:metrics:shop:raw", {"z": "?"}, id=f"{int((now - 2 * DAY) * 1000)}-0")
    store.push(samples(document("shop1", now)))
    assert server.xlen("scaleout:metrics:shop:raw") == 1


@pytest.mark.parametrize(
    "column",
    [
        pytest.param([10**400, 1.0], id="no float holds it"),
        pytest.param([1e308, 1e308], id="no float holds their sum"),
        pytest.param([float("inf"), -float("inf")], id="infinities against each other"),
        pytest.param([[10**400], [1]], id="in a list"),
        pytest.param([1.0, {"user": 1}], id="a number where another has a mapping"),
        pytest.param([{"user": 1}, 1.0], id="the other way round"),
    ],
)
def test_old_garbage_that_has_no_mean_stops_no_push(store, server, column):
    """It would fail each push from then on, for it would never be removed."""
    now = int(time.time())
    body = {
        "format": metric_codec.FORMAT,
        "service": "shop",
        "timestamp": [now - 2 * DAY, now - 2 * DAY + 1],
        "instance": ["shop1", "shop1"],
        "columns": [[["metrics", "cpu"], column]],
    }
    server.xadd("scaleout:metrics:shop:raw", {"z": redis_server.packed(body)}, id=f"{int((now - 2 * DAY) * 1000)}-0")
    store.push(samples(document("shop1", now)))
    assert server.xlen("scaleout:metrics:shop:raw") == 1
    assert server.xlen("scaleout:metrics:shop:minutes") == 1


def test_a_key_that_is_no_stream_is_a_refusal(store, server):
    server.set("scaleout:metrics:shop:raw", "a text")
    with pytest.raises(Unreachable, match="WRONGTYPE") as raised:
        store.push(samples(document("shop1", time.time())))
    assert raised.value.code == "unexpected_answer"


def test_a_store_that_is_full_says_so_and_makes_room_by_itself(store, server):
    now = int(time.time())
    for number in range(40):
        at = now - 2 * DAY + number
        raw_entry(server, [document("shop1", at, text=f"{number}" + "x" * 20_000)], at)
    server.config_set("maxmemory", server.info("memory")["used_memory"] - 1000)
    with pytest.raises(StoreFull, match=r"is full\. Raise its maxmemory") as raised:
        store.push(samples(document("shop1", now)))
    assert raised.value.code == "store_full"
    assert server.xlen("scaleout:metrics:shop:raw") == 32


def error_of(port, **given):
    with pytest.raises(Unreachable) as raised, contextlib.closing(Store(Settings("127.0.0.1", port, **given))) as store:
        store.push(samples(document()))
    return raised.value


def test_a_closed_port():
    port = redis_server.free_port()
    assert str(error_of(port)) == f"Cannot reach the metric store at 127.0.0.1:{port}: Connection refused."


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"store_timeout": float("nan")}, "store_timeout: nan is not"),
        ({"store_timeout": float("inf")}, "store_timeout: inf is not"),
        ({"store_timeout": 0.0}, r"store_timeout: 0\.0 is not"),
        ({"store_timeout": -1.0}, r"store_timeout: -1\.0 is not"),
        ({"store_port": 0}, "store_port: 0 is not a port"),
        ({"store_port": 65536}, "store_port: 65536 is not a port"),
    ],
)
def test_options_that_cannot_be(options, says):
    with pytest.raises(InvalidInput, match=says):
        metric_store.configure({**OPTIONS, **options}.get)


@pytest.mark.parametrize(("written", "host"), [("::1", "::1"), ("[::1]", "::1"), ("192.0.2.1", "192.0.2.1")])
def test_an_address_may_be_in_brackets(written, host):
    assert metric_store.configure({**OPTIONS, "store_host": written}.get).host == host


@pytest.mark.parametrize("host", ["x" * 300, "a..b"])
def test_a_name_that_no_host_has(host):
    with contextlib.closing(Store(Settings(host))) as store, pytest.raises(Unreachable, match="name of a host"):
        store.push([])


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_store_that_refuses_the_login(server, port, password):
    error = error_of(port, password=password)
    assert isinstance(error, Denied)
    assert "refuses the login" in str(error)
    assert "wrong" not in str(error)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n" * 50, b"$-7\r\n", b":1\r\n"])
def test_what_is_not_redis(answer):
    with redis_server.answering(answer) as port:
        error = error_of(port, timeout=0.5)
        assert isinstance(error, Stranger) or "no answer" in str(error), repr(error)


@pytest.mark.parametrize("page", [b":7\r\n", b"*1\r\n:7\r\n", b"*1\r\n*2\r\n$3\r\none\r\n*0\r\n"])
def test_what_answers_like_redis_and_has_no_pages(page):
    answers = b"*2\r\n$10\r\n1800000000\r\n$1\r\n1\r\n" + b"$3\r\n1-0\r\n" + page
    with redis_server.answering(answers) as port, pytest.raises(Stranger):
        Store(Settings("127.0.0.1", port, timeout=1.0)).push(samples(document()))


def test_silence_takes_as_long_as_it_may():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert "no answer within 0.5 s" in str(error_of(silent.getsockname()[1], timeout=0.5))
        assert time.monotonic() - started < 1.5


def test_the_password_is_not_shown():
    assert "sesame" not in repr(Settings("a", password="sesame"))
