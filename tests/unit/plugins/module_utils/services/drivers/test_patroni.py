# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a transaction asks of a member of a Patroni cluster."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils import patroni as client
from ansible_collections.scaleout.platform.plugins.module_utils.process import Done
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import patroni, postgres


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (200, '"192.0.2.61:8300"', ""),
        (
            0,
            "Connection refused",
            "the Consul agent of this host does not answer on http://127.0.0.1:8500 (Connection refused), and Patroni "
            "needs it",
        ),
        *(
            (
                status,
                text,
                "Consul has no leader, so Patroni can keep nothing there; bring back a majority of its servers",
            )
            for status, text in ((200, '""'), (500, "No known Consul servers"))
        ),
    ],
)
def test_a_member_does_not_start_where_its_state_has_no_place(monkeypatch, status, text, reason):
    asked = []

    def ask(url):
        asked.append(url)
        return status, text

    monkeypatch.setattr(patroni, "ask", ask)
    driver = patroni.Member("patroni", ["patroni.service"], {}, {}, "digest")
    assert driver.prepare("reload") == reason
    assert asked == ["http://127.0.0.1:8500/v1/status/leader"]


@pytest.mark.parametrize(("installed", "scope"), [(True, "batman"), (False, "")])
def test_a_patroni_that_is_not_ours_is_seen(monkeypatch, tmp_path, installed, scope):
    """It answers, and none of our files is there; without the package nothing is asked."""
    leader = client.Member("pg1", "192.0.2.11", 5432, "leader", "running")
    monkeypatch.setattr(client.Patroni, "cluster", lambda _self: client.Cluster("batman", (leader,)))
    monkeypatch.setattr(postgres, "run", lambda _argv: Done(0, "4.0.7-3~deb13u1", "") if installed else Done(1, "", ""))
    monkeypatch.setattr(postgres, "MEMBER", str(tmp_path / "10-member.yml"))
    monkeypatch.setattr(postgres, "JOINED", str(tmp_path / "joined"))
    found = postgres.patroni("192.0.2.11")
    assert (found["configured"], found["scope"], bool(found["cluster"])) == (False, scope, installed)
