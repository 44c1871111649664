# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory that Ansible makes of a folder and a Consul that answers what a test tells it to."""

from __future__ import annotations

import json
import time

import pytest
from ansible.template import is_trusted_as_template

from ansible_collections.scaleout.platform.plugins.inventory import fleet
from tests.unit.plugins.inventory.conftest import HOSTS, TOKEN


def member(name, address, state="member", provider="docker"):
    return {
        "name": name,
        "address": address,
        "provider": provider,
        "provider_id": "",
        "state": state,
        "since": None,
    }


def record(*members, group="api"):
    return json.dumps({"version": 1, "group": group, "members": list(members)})


API1, API2, API3 = (member(f"api{number}", f"192.0.2.2{number}") for number in (1, 2, 3))
API4 = member("api4", "192.0.2.129", "joining")
ALL = ["api1", "api2", "api3", "consul1", "spare1"]


def test_without_a_record_the_inventory_counts_without_a_warning(read, consul, warnings):
    inventory = read(cache_file="../seen/members.json")
    assert inventory.hosts == ALL
    assert inventory.group("api") == ["api1", "api2", "api3"]
    assert warnings == []
    assert "fleet_member_state" not in inventory.variables("api1")
    cache = inventory.variables("api1")["fleet_cache_file"]
    assert cache.endswith("/seen/members.json")
    # Else `ansible-inventory --list` marks it as unsafe, and the filter from_json refuses all of its output.
    assert is_trusted_as_template(cache)


def test_members_and_those_on_their_way_are_in_the_group(read, consul, warnings):
    consul.keys["scaleout/members/api"] = record(API1, API2, API3, API4)
    inventory = read(host_variables={"ansible_user": "ops", "fleet_host": {"name": "{{ inventory_hostname }}"}})
    assert inventory.group("api") == ["api1", "api2", "api3", "api4"]
    variables = inventory.variables("api4")
    assert variables["ansible_host"] == "192.0.2.129"
    assert variables["fleet_provider"] == "docker"
    assert variables["fleet_member_state"] == "joining"
    assert variables["ansible_user"] == "ops"
    assert inventory.variables("api1")["fleet_member_state"] == "member"
    assert "fleet_provider" not in inventory.variables("api1")
    assert warnings == []


def test_one_request_answers_for_all_groups(read, consul):
    consul.keys["scaleout/members/api"] = record(API1)
    consul.keys["scaleout/members/cache"] = record(member("cache1", "192.0.2.51"), group="cache")
    inventory = read(groups=["api", "cache"])
    assert consul.requests == ["/v1/kv/scaleout/members/?recurse="]
    assert inventory.group("cache") == ["cache1"]


def test_a_released_host_leaves_the_inventory(read, consul, warnings):
    consul.keys["scaleout/members/api"] = record(API1, API2)
    inventory = read()
    assert inventory.hosts == ["api1", "api2", "consul1", "spare1"]
    assert inventory.group("api") == ["api1", "api2"]
    assert "api3" not in inventory.group("all")
    assert "api3" not in inventory.group("ungrouped")
    assert inventory.manager.list_hosts("api3") == []
    assert inventory.variables("api1")["fleet_static_members"] == {
        "api": [
            {"name": "api1", "address": "192.0.2.21"},
            {"name": "api2", "address": "192.0.2.22"},
            {"name": "api3", "address": "192.0.2.23", "provider": "docker"},
        ]
    }


@pytest.mark.parametrize(
    ("group", "released"), [("monitoring", []), ("consul_server", []), ("rack7", ["api3"])], ids=str
)
def test_s4_a_released_host_of_another_group_stays_there(read, consul, tmp_path, group, released):
    (tmp_path / "inventory" / "also.yml").write_text(f"{group}: {{hosts: {{api3: }}}}", encoding="utf-8")
    consul.keys["scaleout/members/api"] = record(API1, API2)
    inventory = read()
    assert inventory.group("api") == ["api1", "api2"]
    assert "api3" in inventory.group(group)
    assert inventory.group("fleet_released") == released


@pytest.mark.parametrize(("group", "leaving"), [("cache", []), ("rack7", ["api3"])])
def test_s4_a_host_that_leaves_goes_on_with_its_other_work(read, consul, tmp_path, group, leaving):
    (tmp_path / "inventory" / "also.yml").write_text(f"{group}: {{hosts: {{api3: }}}}", encoding="utf-8")
    consul.keys["scaleout/members/api"] = record(API1, API2, {**API3, "state": "leaving"})
    inventory = read()
    assert inventory.group("api") == ["api1", "api2"]
    assert "api3" in inventory.group(group)
    assert inventory.group("fleet_leaving") == leaving


def test_groups_above_and_below_follow(read, consul, tmp_path):
    (tmp_path / "inventory" / "hosts.yml").write_text(
        "servers: {children: {api: {children: {api_eu: {hosts: {api1: , api2: , api3: }}}}}}", encoding="utf-8"
    )
    consul.keys["scaleout/members/api"] = record(API1, {**API2, "state": "leaving"}, member("api4", "192.0.2.129"))
    inventory = read()
    assert inventory.hosts == ["api1", "api2", "api4"]
    assert inventory.group("api_eu") == ["api1"]
    assert sorted(inventory.group("servers")) == ["api1", "api4"]
    assert inventory.group("fleet_leaving") == ["api2"]
    assert sorted(inventory.variables("api4")["group_names"]) == ["api", "servers"]
    assert inventory.variables("api2")["group_names"] == ["fleet_leaving"]


def test_a_leaving_host_is_there_and_not_in_its_group(read, consul):
    consul.keys["scaleout/members/api"] = record(
        API1, API2, {**API3, "state": "leaving"}, member("api4", "192.0.2.129", "leaving")
    )
    inventory = read()
    assert inventory.group("api") == ["api1", "api2"]
    assert inventory.group("fleet_leaving") == ["api3", "api4"]
    assert inventory.variables("api4")["ansible_host"] == "192.0.2.129"
    assert inventory.variables("api3")["fleet_member_state"] == "leaving"


def test_l3_a_host_that_was_written_off_can_be_left_out(read, consul):
    assert read().group("fleet_lost") == []
    consul.keys["scaleout/members/api"] = record(API1, API2, member("api3", "192.0.2.23", "lost", "static"))
    inventory = read()
    assert inventory.group("fleet_lost") == inventory.group("fleet_leaving") == ["api3"]


@pytest.mark.parametrize(("state", "group"), [("joining", "api"), ("member", "api"), ("leaving", "fleet_leaving")])
def test_a_host_that_waited_for_work_waits_no_more(read, consul, state, group):
    consul.keys["scaleout/members/api"] = record(API1, member("spare1", "192.0.2.91", state, "static"))
    inventory = read()
    assert "spare1" in inventory.group(group)
    assert inventory.group("fleet_spare") == []
    assert inventory.variables("spare1")["ansible_host"] == "192.0.2.91"


def test_the_inventorys_address_counts_and_a_difference_is_told(read, consul, warnings):
    consul.keys["scaleout/members/api"] = record(API1, API2, member("api3", "192.0.2.130"))
    inventory = read()
    assert inventory.variables("api3")["ansible_host"] == "192.0.2.23"
    assert warnings.about("api3 is at 192.0.2.23 in the inventory and at 192.0.2.130 in Consul's record")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("hello", "It is not JSON."),
        (record(member("api1;reboot", "192.0.2.21")), "'api1;reboot' is not the name of a host."),
        (record(member("localhost", "192.0.2.21")), "'localhost' is not the name of a host."),
        (record(member("api1", "{{ lookup('pipe', 'id') }}")), "is not the address of api1."),
        (record(API1, group="postgres"), "It is of the group 'postgres', not of api."),
    ],
)
def test_a_record_that_cannot_be_is_not_used(read, consul, warnings, value, says):
    consul.keys["scaleout/members/api"] = value
    read(fails=True)
    assert warnings.about("[members_unknown] ")
    assert warnings.about("The key scaleout/members/api in Consul is not a record of members: ")
    assert warnings.about(says)


# When Consul does not answer


def test_the_records_seen_last_count_with_a_warning(read, consul, warnings, tmp_path):
    consul.keys["scaleout/members/api"] = record(API1, API4)
    assert read(cache_file="../seen/members.json").group("api") == ["api1", "api4"]
    assert warnings == []
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["members.json"]
    consul.silent = 2
    started = time.monotonic()
    inventory = read(cache_file="../seen/members.json", timeout=0.2)
    assert time.monotonic() - started < 1.5
    assert inventory.group("api") == ["api1", "api4"]
    assert len(warnings) == 1
    assert warnings.about("no answer within 0.2 s. The members seen at 2")
    consul.silent = 0
    consul.keys["scaleout/members/api"] = "hello"
    assert read(cache_file="../seen/members.json").group("api") == ["api1", "api4"]


def test_the_file_may_be_named_by_the_inventory(read, tmp_path):
    inventory = read(cache_file="../seen/{{ inventory_dir | basename }}.json")
    assert inventory.variables("api1")["fleet_cache_file"] == f"{tmp_path}/inventory/../seen/inventory.json"
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["inventory.json"]


@pytest.mark.parametrize(("name", "mode", "counts"), [("inventory", "cached", ["api4"]), ("staging", "static", [])])
def test_a_file_that_was_copied_from_another_inventory_is_not_used(
    read, consul, warnings, tmp_path, name, mode, counts
):
    consul.keys["scaleout/members/api"] = record(API4)
    read(cache_file="../members.json")
    file = tmp_path / "members.json"
    file.write_text(file.read_text().replace('"inventory": "inventory"', f'"inventory": "{name}"'), encoding="utf-8")
    found = read(cache_file="../members.json", consul_url="http://127.0.0.1:1", when_unreachable=mode)
    assert [host for host in found.group("api") if host == "api4"] == counts
    assert warnings.about("has the members of the inventory staging, so it is not used here.") is (name == "staging")


def test_a_file_of_an_earlier_release_is_used(read, consul, warnings, tmp_path):
    consul.keys["scaleout/members/api"] = record(API1, API4)
    read(cache_file="../members.json")
    file = tmp_path / "members.json"
    file.write_text(file.read_text().replace('"inventory": "inventory",', ""), encoding="utf-8")
    found = read(cache_file="../members.json", consul_url="http://127.0.0.1:1", when_unreachable="cached")
    assert found.group("api") == ["api1", "api4"]


@pytest.mark.parametrize("content", ["", "[]", '{"seen": 1}', '{"seen": 1, "records": {"api": {}}}'])
def test_a_broken_cache_is_not_used(read, consul, warnings, tmp_path, content):
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "members.json").write_text(content, encoding="utf-8")
    options = {"cache_file": "../seen/members.json", "consul_url": "http://127.0.0.1:1"}
    assert read(**options).hosts == ALL
    read(**options, when_unreachable="cached", fails=True)
    assert warnings.about("seen/members.json")


def test_a_bare_first_run_is_silent(read, warnings, tmp_path):
    (tmp_path / "inventory" / "hosts.yml").write_text(HOSTS.replace("192.0.2.61", "127.0.0.1"), encoding="utf-8")
    assert read(consul_url=None, cache_file="../seen/members.json").hosts == ALL
    assert warnings == []


def test_a_consul_that_was_named_is_missed(read, warnings):
    assert read(consul_url="http://127.0.0.1:1").hosts == ALL
    assert warnings.about("Cannot reach Consul at 127.0.0.1:1: Connection refused. The inventory is used as it is.")


def test_without_the_right_token_a_hidden_record_is_not_a_missing_one(read, consul, warnings, tmp_path):
    consul.keys["scaleout/members/api"] = record(API1)
    (tmp_path / "seen").mkdir()
    assert read(cache_file="../seen/members.json").group("api") == ["api1"]
    assert read(cache_file="../seen/members.json", token="another").group("api") == ["api1"]
    assert warnings.about("it answered 403 (Permission denied). The token is that of the environment variable ")
    assert warnings.about("The members seen at 2")
    assert not warnings.about("another")


# Where the token comes from


def test_the_token_of_a_file_of_variables(read, consul, tmp_path, warnings):
    consul.keys["scaleout/members/api"] = record(API1)
    secrets = tmp_path / "inventory" / "group_vars" / "all"
    secrets.mkdir(parents=True)
    options = {"token": None, "token_vars_file": "group_vars/all/secrets.yml"}
    read(**options)
    assert warnings.about("it answered 403")
    (secrets / "secrets.yml").write_text(f"consul_reader_token: {TOKEN}\nmine: x\n", encoding="utf-8")
    assert read(**options).group("api") == ["api1"]
    assert read(**options, token_variable="mine").hosts == ALL
    (secrets / "secrets.yml").write_text(
        f'consul_reader_token: "{{{{ vault_token }}}}"\nvault_token: {TOKEN}\n', encoding="utf-8"
    )
    assert read(**options).group("api") == ["api1"]


def test_each_server_is_asked_until_one_answers(read, consul, warnings, monkeypatch, tmp_path):
    consul.keys["scaleout/members/api"] = record(API1)
    monkeypatch.setitem(fleet.fleet_members.PORTS, "http", int(consul.url.rpartition(":")[2]))
    (tmp_path / "inventory" / "hosts.yml").write_text(
        HOSTS.replace(
            "consul1: {ansible_host: 192.0.2.61}",
            """consul1: {ansible_host: 127.0.0.2}
        consul2: {ansible_host: "{{ at }}", at: 127.0.0.1}""",
        ),
        encoding="utf-8",
    )
    assert read(consul_url=None).group("api") == ["api1"]
    assert warnings == []
    consul.keys["scaleout/members/api"] = "hello"
    read(consul_url=None, fails=True)
    assert warnings.about("127.0.0.2")
    assert warnings.about("It is not JSON.")


def test_the_token_of_the_environment_goes_before_a_file(read, consul, tmp_path, monkeypatch):
    consul.keys["scaleout/members/api"] = record(API1)
    (tmp_path / "inventory" / "token.txt").write_text("another\n", encoding="utf-8")
    options = {"token": None, "token_file": "token.txt"}
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", TOKEN)
    assert read(**options).group("api") == ["api1"]
    monkeypatch.delenv("CONSUL_HTTP_TOKEN")
    assert read(**options).group("api") == ["api1", "api2", "api3"]
    (tmp_path / "inventory" / "token.txt").write_text(TOKEN + "\n", encoding="utf-8")
    assert read(**options).group("api") == ["api1"]


def test_a_template_is_rendered(read, consul, monkeypatch):
    consul.keys["scaleout/members/api"] = record(API1)
    monkeypatch.setenv("MY_CONSUL", consul.url)
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    inventory = read(consul_url="{{ lookup('env', 'MY_CONSUL') }}", token="{{ lookup('env', 'MY_TOKEN') }}")
    assert inventory.group("api") == ["api1"]


# Options that cannot be


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"groups": ["a b"]}, "groups: 'a b' is not the name of a group"),
        (
            {"standby_group": "fleet_standby"},
            "standby_group: 'fleet_standby' is not read any more; the option is called spare_group now.",
        ),
        ({"groups": ["all"]}, "groups: 'all' is Ansible's own."),
        ({"consul_url": "consul1:8500"}, "consul_url: 'consul1:8500' is not a URL such as http://192.0.2.61:8500."),
        ({"consul_url": "http://consul1:port"}, "consul_url: 'http://consul1:port' is not a URL"),
        ({"consul_url": "ftp://consul1"}, "consul_url: 'ftp://consul1' is not a URL"),
        ({"when_unreachable": "catched"}, "when_unreachable"),
        ({"timeout": -1}, "timeout: -1.0 is not a number of seconds"),
        ({"consul_url": "https://consul1", "ca_file": "none.pem"}, "ca_file: "),
        (
            {"token": None, "token_file": "none.txt"},
            "token_file: 'none.txt' cannot be read: No such file or directory.",
        ),
    ],
)
def test_an_option_that_cannot_be_is_named(read, warnings, options, says):
    read(**options, fails=True)
    assert warnings.about(says)


def test_a_file_that_is_read_too_early_says_so(read, consul, tmp_path, warnings):
    (tmp_path / "inventory" / "hosts.yml").rename(tmp_path / "inventory" / "zzz.yml")
    read()
    assert warnings.about("is read before any host is known; its name has to sort last")
