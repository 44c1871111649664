# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An application's files and its workers' on a host: exchanged, put back, told from another application's."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.releases import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.releases import server


def texts(places: server.Places, *workers: str, value: str = "1") -> dict:
    unit = f"[Service]\nEnvironmentFile={places.config}/environment\n# {value}\n"
    found = {"environment": f"A={value}\n", "secrets": "", "unit": unit}
    for worker in workers:
        environment, own_unit = planner.worker_files(worker)
        found.update({environment: f"B={value}\n", own_unit: unit})
    return found


@pytest.fixture
def places(tmp_path):
    (tmp_path / "system").mkdir()
    return lambda name: server.Places(
        root=str(tmp_path / "srv" / name),
        config=str(tmp_path / "etc" / name),
        unit=str(tmp_path / "system" / f"{name}.service"),
        state=str(tmp_path / "lib" / name),
        account="",
        transactions=str(tmp_path / "transactions"),
    )


@pytest.fixture
def host(places, monkeypatch):
    monkeypatch.setattr(server.Host, "_verify_unit", lambda *_args: None)

    def make(name: str = "shop", *workers: str) -> server.Host:
        made = server.Host(places(name), (), workers)
        made.make()
        return made

    return make


def exchange(host: server.Host, *workers: str, value: str = "1", journal: bool = False) -> None:
    host.stage(texts(host.places, *workers, value=value), "one")
    if journal:
        host.write_journal(host.present())
    host.exchange("one")
    host.unstage()


def units(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "system").iterdir())


def test_workers_come_and_go_with_an_exchange_and_back(host, tmp_path):
    shop = host()
    exchange(shop, "relay", "mailer")
    assert units(tmp_path) == ["shop-mailer.service", "shop-relay.service", "shop.service"]
    before = shop.present()
    assert before.workers == ["mailer", "relay"]
    exchange(shop, "relay", "indexer", value="2", journal=True)
    during = shop.present()
    assert units(tmp_path) == ["shop-indexer.service", "shop-relay.service", "shop.service"]
    assert during.fallback_workers == ["mailer", "relay"]
    assert during.workers == ["indexer", "mailer", "relay"]
    shop.restore(during.journal)
    after = shop.present()
    assert after.files == before.files
    assert after.journal == during.journal
    shop.confirm(after)
    assert shop.present().journal is None
    assert units(tmp_path) == ["shop-mailer.service", "shop-relay.service", "shop.service"]
    shop.remove()
    assert units(tmp_path) == []
    assert not (tmp_path / "etc/shop").exists()
    assert not any((tmp_path / "transactions").iterdir())


def test_a_second_run_that_is_cut_short_goes_back_to_what_was_proven(host, tmp_path):
    shop = host()
    exchange(shop, "relay")
    before = shop.present()
    exchange(shop, "indexer", value="2", journal=True)
    exchange(shop, "mailer", value="3", journal=True)
    assert shop.present().fallback_workers == ["relay"]
    shop.restore(shop.present().journal)
    assert shop.present().files == before.files
    assert units(tmp_path) == ["shop-relay.service", "shop.service"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_a_run_of_version_0_1_0_kept_is_gone_back_to(host, tmp_path, goes_on):
    shop = host()
    exchange(shop, "relay")
    before = shop.present()
    old = tmp_path / "etc/shop/journal"
    old.mkdir()
    for name, file in before.files.items():
        (old / name).write_text(file.text)
    (old / "current").write_text('"zero"')
    exchange(shop, "mailer", value="2")
    during = shop.present()
    assert (during.journal.current, during.fallback_workers) == ("zero", ["relay"])
    if goes_on:
        exchange(shop, "indexer", value="3", journal=True)
        assert not old.exists()
    shop.restore(shop.present().journal)
    assert shop.present().files == before.files
    assert units(tmp_path) == ["shop-relay.service", "shop.service"]
    shop.confirm(shop.present())
    assert shop.present().journal is None


def test_a_worker_whose_note_was_removed_by_hand_is_still_its_own(host, tmp_path):
    exchange(host("shop"), "relay")
    (tmp_path / "etc/shop/relay.environment").unlink()
    present = host("shop", "relay").present()
    assert present.workers == ["relay"]
    assert not present.foreign


def test_a_worker_and_an_application_of_the_same_unit(host, tmp_path):
    exchange(host("shop"), "eu")
    assert host("shop-eu").present().foreign == f"with {tmp_path}/system/shop-eu.service"
    shop = host("shop", "us")
    exchange(host("shop-us"))
    assert shop.present().foreign == f"with {tmp_path}/system/shop-us.service"
    assert shop.present().workers == ["eu"]
    assert not host("shop", "eu").present().foreign


def test_the_memory_of_this_host():
    assert server.memory() > 1 << 20


def test_what_is_noted_of_a_release_stays_with_it(host, tmp_path):
    shop = host()
    (tmp_path / "srv/shop/releases/one").mkdir()
    assert shop.present().release("one").note == {}
    shop.note("one", {"schema_serves": "0.9"})
    noted = shop.present().release("one")
    assert noted.note == {"schema_serves": "0.9"}
    assert noted.noted > 0
    (tmp_path / "srv/shop/releases/.facts-one").write_text("[]")
    assert shop.present().release("one").note == {}
    shop.note("one", {})
    assert not (tmp_path / "srv/shop/releases/.facts-one").exists()
    shop.note("one", {"schema_serves": "0.9"})
    shop.prune("one")
    assert not list((tmp_path / "srv/shop/releases").iterdir())


@pytest.mark.parametrize("was_there", [True, False])
def test_what_consul_reads_goes_back_with_the_release(host, tmp_path, was_there):
    registration = tmp_path / "service_shop.json"
    if was_there:
        registration.write_text("port 1")
    shop = host()
    exchange(shop)
    shop.stage(texts(shop.places, value="2"), "one")
    shop.write_journal(shop.present(), [str(registration)])
    shop.exchange("one")
    registration.write_text("port 2")
    assert shop.present().journal.files == ("environment", "secrets", "unit")
    shop.restore(shop.present().journal)
    assert (registration.read_text() if was_there else registration.exists()) == ("port 1" if was_there else False)
