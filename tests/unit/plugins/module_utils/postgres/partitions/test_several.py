# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One set that cannot be had is named and stops no other one, whatever is wrong with it, against a real server."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN, CREATE_VISITS, VISITS

LONG = "a" * 58
TIMES = f"CREATE TABLE {LONG} (at timestamptz, n int) PARTITION BY RANGE (at)"
NUMBERS = f"CREATE TABLE {LONG} (at int) PARTITION BY RANGE (at)"
BAD_ZONE = f"""; COMMENT ON TABLE {LONG} IS 'partition_set: {{"time_zone": "Nowhere/Land"}}'"""
FOREIGN = f"""; CREATE FOREIGN DATA WRAPPER none; CREATE SERVER far FOREIGN DATA WRAPPER none;
CREATE FOREIGN TABLE there PARTITION OF {LONG} FOR VALUES FROM (0) TO (10) SERVER far"""


@pytest.mark.parametrize(
    ("made", "options", "code"),
    [
        (TIMES, {"interval": "1000"}, "invalid_input"),
        (TIMES, {"kind": "date"}, "invalid_input"),
        (TIMES, {"name": "{table}_{lower}"}, "invalid_input"),
        (TIMES, {"name": "{table}_of_{year}"}, "invalid_input"),
        (TIMES, {"default": True}, "invalid_input"),
        (TIMES, {"interval": "1000 years", "premake": 9}, "invalid_input"),
        (TIMES, {"retention": "9000 years"}, "invalid_input"),
        (TIMES, {"column": "nowhere"}, "missing"),
        (TIMES, {"sub_partitions": {"column": "nowhere", "modulus": 2}}, "missing"),
        (TIMES, {"retention": "year", "retention_action": "move", "move_to": "nowhere"}, "missing"),
        (TIMES + BAD_ZONE, {}, "invalid_input"),
        (TIMES.replace("timestamptz", "date"), {"interval": "hour"}, "invalid_input"),
        (TIMES.replace("timestamptz", "text"), {}, "invalid_input"),
        (NUMBERS, {}, "invalid_input"),
        (NUMBERS, {"interval": "10", "retention": "month"}, "invalid_input"),
        (NUMBERS + FOREIGN, {"interval": "10"}, "refused"),
        (NUMBERS + FOREIGN, {"state": "absent", "interval": None, "premake": None}, "refused"),
        (f"CREATE TABLE {LONG} (at timestamptz, n int PRIMARY KEY)", {"convert": True}, "unpartitionable"),
        (f"CREATE TABLE {LONG} (at text)", {"convert": True}, "invalid_input"),
    ],
)
def test_what_shows_only_when_the_set_is_read(keep, client, made, options, code):
    client.run(CREATE_VISITS)
    client.run(made)
    bad = {"table": LONG, "column": "at", "interval": "month", "premake": 1, "name": "a_{year}_{month}"}
    bad = {**bad, **({"name": "a_{lower}"} if made.startswith(NUMBERS) and "interval" in options else {}), **options}
    for check in (True, False):
        with pytest.raises(ScaleoutError) as failed:
            keep(bad, VISITS, check=check)
        assert failed.value.code == code
        first, second = failed.value.facts["sets"]
        assert (first["code"], second["outcome"]) == (code, "changed")
        assert f"- public.{LONG}" in failed.value.message
    assert len(client.rows(CHILDREN, ("visits",))) == 3


def test_a_table_of_another_role_stops_no_other_one(keep, client):
    client.run("CREATE ROLE lodger LOGIN; GRANT CREATE ON SCHEMA public TO lodger")
    client.run("CREATE TABLE others (at int) PARTITION BY RANGE (at); CREATE TABLE o PARTITION OF others DEFAULT")
    client.run(CREATE_VISITS + "; ALTER TABLE visits OWNER TO lodger")
    with pytest.raises(ScaleoutError) as failed:
        keep({"table": "others", "column": "at", "interval": "10"}, VISITS, user="lodger")
    assert failed.value.code == "denied"
    assert "- public.others belongs to postgres" in failed.value.message
    assert len(client.rows(CHILDREN, ("visits",))) == 3


def test_options_that_can_never_be_are_named_with_their_sets(keep):
    with pytest.raises(ScaleoutError) as failed:
        keep({**VISITS, "interval": "fortnight"}, VISITS, {**VISITS, "table": "b", "schema": "c", "premake": -1})
    assert failed.value.code == "invalid_input"
    text = failed.value.message
    assert "- public.visits: interval: 'fortnight' is neither" in text
    assert "- c.b: premake: -1 is not a number from 0" in text
    with pytest.raises(ScaleoutError) as failed:
        keep({**VISITS, "interval": "fortnight"}, {**VISITS, "table": "other"})
    assert failed.value.message.startswith("public.visits: interval: 'fortnight'")
    assert failed.value.facts["option"] == "interval"
