# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be read from Consul, and what may not."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.members.record import (
    InvalidRecord,
    Member,
    Record,
    decode,
    fault_of_group,
    natural,
)

API1 = {
    "name": "api1",
    "address": "192.0.2.21",
    "provider": "docker",
    "provider_id": "",
    "state": "member",
    "since": None,
}
DOCUMENT = {"version": 1, "group": "api", "members": [API1]}
WITHOUT_SINCE = {key: value for key, value in API1.items() if key != "since"}

names = st.from_regex(r"[a-z]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda name: name != "all")
members = st.builds(
    Member,
    names,
    st.ip_addresses(v=4).map(str),
    st.sampled_from(["docker", "static"]),
    st.from_regex(r"[a-f0-9]{0,12}", fullmatch=True),
    st.sampled_from(["joining", "member", "leaving"]),
    st.sampled_from([None, "2026-03-01T12:00:00Z"]),
)
records = st.builds(
    Record,
    st.just("api"),
    st.lists(members, unique_by=(lambda member: member.name, lambda member: member.address)).map(tuple),
)


@given(records)
def test_what_is_written_is_read_again(record):
    assert decode(json.dumps(record.document()), "api") == record


@given(st.text() | st.binary())
def test_no_value_makes_more_than_a_sentence(value):
    with pytest.raises(InvalidRecord):
        decode(value, "api")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*DOCUMENT, *API1]), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*DOCUMENT, *API1]), json_values)
def test_no_field_makes_more_than_a_sentence(field, value):
    document = {**DOCUMENT, field: value} if field in DOCUMENT else {**DOCUMENT, "members": [{**API1, field: value}]}
    with contextlib.suppress(InvalidRecord):
        record = decode(json.dumps(document), "api")
        assert decode(json.dumps(record.document()), "api") == record


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "It is not an object."),
        ({**DOCUMENT, "version": 2}, "Its version is 2, and 1 is the one known here."),
        ({**DOCUMENT, "version": True}, "Its version is True, and 1 is the one known here."),
        ({"members": []}, "Its version is None, and 1 is the one known here."),
        ({"version": 1, "group": "api"}, "It lacks the field members."),
        ({**DOCUMENT, "count": 3}, "It has a field that is not known here: 'count'."),
        ({**DOCUMENT, "group": "cache"}, "It is of the group 'cache', not of api."),
        ({**DOCUMENT, "members": {}}, "Its members are not a list."),
        ({**DOCUMENT, "members": ["api1"]}, "'api1' is not a member."),
        ({**DOCUMENT, "members": [WITHOUT_SINCE]}, "A member lacks the field since."),
        ({**DOCUMENT, "members": [{**API1, "port": 1}]}, "A member has a field that is not known here: 'port'."),
        ({**DOCUMENT, "members": [API1, {**API1, "address": "192.0.2.9"}]}, "The name api1 is there twice."),
        ({**DOCUMENT, "members": [API1, {**API1, "name": "api2"}]}, "The address 192.0.2.21 is there twice."),
    ],
)
def test_a_record_that_is_none(document, says):
    with pytest.raises(InvalidRecord, match=f"^{re.escape(says)}$"):
        decode(json.dumps(document), "api")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "-oProxyCommand=id", "'-oProxyCommand=id' is not the name of a host."),
        ("name", "api1\n", r"'api1\n' is not the name of a host."),
        ("name", "all", "'all' is not the name of a host."),
        ("name", "{{ x }}", "'{{ x }}' is not the name of a host."),
        ("name", 7, "7 is not the name of a host."),
        ("address", "", "'' is not the address of api1."),
        ("address", "192.0.2.1 -i", "'192.0.2.1 -i' is not the address of api1."),
        ("address", None, "None is not the address of api1."),
        ("provider", "../docker", "'../docker' is not the fleet provider of api1."),
        ("provider_id", "a b", "'a b' is not the provider's id of api1."),
        ("state", "gone", "'gone' is not the state of api1: joining, member, leaving or lost."),
        ("state", ["member"], "['member'] is not the state of api1: joining, member, leaving or lost."),
        ("since", "yesterday", "'yesterday' is not a time at which the state of api1 began."),
    ],
)
def test_a_member_that_cannot_be(field, value, says):
    with pytest.raises(InvalidRecord, match=f"^{re.escape(says)}$"):
        decode(json.dumps({**DOCUMENT, "members": [{**API1, field: value}]}), "api")


def test_a_document_that_is_nested_too_deeply():
    with pytest.raises(InvalidRecord, match=r"^It is nested too deeply\.$"):
        decode("[" * 200000, "api")


@pytest.mark.parametrize("address", ["192.0.2.21", "2001:db8::1", "api1.example.com"])
def test_an_address_is_of_either_family_or_a_name(address):
    assert Member("api1", address, "static").address == address


@pytest.mark.parametrize(("name", "fault"), [("api", False), ("a b", True), ("a/b", True), ("", True), (None, True)])
def test_the_name_of_a_group(name, fault):
    assert bool(fault_of_group(name)) is fault


def test_numbers_in_names_count_as_numbers():
    mixed = ["api10", "api2", "2", "api", "api2b", "10", "db1"]
    assert sorted(mixed, key=natural) == ["2", "10", "api", "api2", "api2b", "api10", "db1"]


def test_the_text_has_a_line_for_each_member():
    record = decode(json.dumps(DOCUMENT), "api")
    assert record.text() == "api: api1 (192.0.2.21, docker) member\n"
