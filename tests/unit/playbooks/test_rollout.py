# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/rolling_update.yml and rollback.yml with what cannot be asked: one sentence, and no host is touched."""

from __future__ import annotations

import pytest

INVENTORY = """
all:
  vars:
    consul_gossip_key: MDEyMzQ1Njc4OWFiY2RlZg==
    consul_management_token: 00000000-0000-4000-8000-000000000001
    consul_agent_token: 00000000-0000-4000-8000-000000000002
    consul_reader_token: 00000000-0000-4000-8000-000000000003
    applications:
      shop: {group: shop, port: 8000, source: shop, command: [serve], MORE}
  children:
    consul_server: {hosts: {consul1: {ansible_host: 192.0.2.1}}}
    shop: {hosts: {shop1: {ansible_host: 192.0.2.11}, shop2: {ansible_host: 192.0.2.12}}}
"""


@pytest.fixture(name="play")
def _play(run_untouched):
    """A function that runs a playbook, and returns its status and its output."""

    def run(playbook, *arguments, more="packages: []"):
        options = [option for argument in arguments for option in ("-e", argument)]
        return run_untouched(INVENTORY.replace("MORE", more), f"playbooks/{playbook}.yml", *options)

    return run


@pytest.mark.parametrize("playbook", ["rolling_update", "rollback"])
def test_all_that_is_wrong_with_what_is_asked_is_said_at_once(play, playbook):
    status, said = play(playbook, "application=shp", "parallelism=101%", "batch_delay=-1")
    assert status == 2, said
    assert (
        "application: 'shp' is not an application; there is shop. parallelism: '101%' is not how many servers" in said
    )
    assert "batch_delay: '-1' is not a number of seconds from 0 to 3600." in said
    assert "Traceback" not in said


def test_a_schema_that_cannot_be_compared_is_refused_by_preflight(play):
    status, said = play("rolling_update", "application=shop", more="version: next, schema_serves: '1.4'")
    assert status == 2, said
    assert 'applications: shop: version is "next"; schema_serves and version are compared' in said
