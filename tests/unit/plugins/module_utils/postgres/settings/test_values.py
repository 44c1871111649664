# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What values mean, compared with what servers said; vectors/record.py asked them."""

from __future__ import annotations

import json
import pathlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils import units
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import BadValue, Definition

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"
COLUMNS = ("name", "vartype", "context", "setting", "boot_val", "source", "unit", "min_val", "max_val", "enumvals")
SERVERS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("server_*.json"))}
DEFINITIONS = {
    server: {
        row[0]: Definition(**dict(zip(COLUMNS, row[:-1], strict=True), enumvals=tuple(row[9])))
        for row in answers["settings"]
    }
    for server, answers in SERVERS.items()
}
# SHOW has a remark for it, or the value of our kind of connection, and not the configured one.
NOT_SHOWN = {"archive_command", "tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval"}


@pytest.mark.parametrize("server", SERVERS)
def test_what_the_server_shows_is_read_as_what_it_stores(server):
    for *row, show in SERVERS[server]["settings"]:
        definition = DEFINITIONS[server][row[0]]
        if definition.name in NOT_SHOWN:
            continue
        stored = values.parse(definition, definition.setting)
        assert stored.shown == show, definition.name
        assert stored.meaning == values.parse(definition, show).meaning, definition.name


@pytest.mark.parametrize("server", SERVERS)
def test_numbers_are_read_and_refused_as_the_server_does(server):
    for name, text, stored, show in SERVERS[server]["numbers"]:
        definition = DEFINITIONS[server][name]
        try:
            value = values.parse(definition, text)
        except BadValue:
            assert stored is None, (name, text)
            continue
        assert stored is not None, (name, text)
        assert value.shown == show, (name, text)
        assert value.shown == values.parse(definition, stored).shown, (name, text)


ALL = [definition for server in DEFINITIONS.values() for definition in server.values()]
INTEGERS = [definition for definition in ALL if definition.vartype == "integer"]
ENUMS = [definition for definition in ALL if definition.vartype == "enum"]


@given(definition=st.sampled_from(INTEGERS), data=st.data())
def test_every_number_within_the_bounds_in_every_unit(definition, data):
    low, high = int(definition.min_val), int(definition.max_val)
    number = data.draw(st.integers(low, high))
    value = values.parse(definition, number)
    assert value.meaning == number
    assert values.parse(definition, value.shown).meaning == number
    for unit in units.units_of(definition.unit) if definition.unit else ():
        exact = units.parse_real(f"1{unit}", definition.unit)
        if number % exact == 0:
            assert values.parse(definition, f"{int(number // exact)} {unit}").meaning == number


@given(definition=st.sampled_from(INTEGERS), above=st.integers(1, 2**32))
def test_every_number_beyond_the_bounds_is_refused_with_them(definition, above):
    for number in (int(definition.min_val) - above, int(definition.max_val) + above):
        with pytest.raises(BadValue) as refusal:
            values.parse(definition, number)
        if units.INTEGER_RANGE[0] <= number <= units.INTEGER_RANGE[1]:
            assert f"bounds {definition.min_val} to {definition.max_val}" in str(refusal.value)


@given(definition=st.sampled_from(ENUMS), data=st.data())
def test_every_word_of_an_enumeration_and_no_other(definition, data):
    known = data.draw(st.sampled_from(definition.enumvals))
    assert values.parse(definition, known.upper()).meaning == values.parse(definition, known).meaning
    with pytest.raises(BadValue) as refusal:
        values.parse(definition, known + data.draw(st.text(string.ascii_letters, min_size=1)) + "!")
    assert ", ".join(definition.enumvals) in str(refusal.value)


@given(elements=st.lists(st.text(st.characters(exclude_characters='\n\r\0"', codec="ascii"), min_size=1), min_size=1))
def test_every_list_is_read_as_it_is_shown(elements):
    assert values.parse(LIBRARIES, values.parse(LIBRARIES, elements).shown).meaning == tuple(elements)


BOOL = Definition("autovacuum", "bool", "sighup", "on", "on")
ENUM = Definition("wal_level", "enum", "postmaster", "replica", "replica", enumvals=("minimal", "replica", "logical"))
COMPRESSION = Definition("wal_compression", "enum", "superuser", "off", "off", enumvals=("pglz", "lz4", "on", "off"))
SIZE = Definition("work_mem", "integer", "user", "4096", "4096", unit="kB", min_val="64", max_val="2147483647")
COUNT = Definition("max_connections", "integer", "postmaster", "100", "100", min_val="1", max_val="262143")
REAL = Definition("random_page_cost", "real", "user", "4", "4", min_val="0", max_val="1.79769e+308")
MODE = Definition("log_file_mode", "integer", "sighup", "0600", "0600", min_val="0", max_val="511")
TEXT = Definition("log_line_prefix", "string", "sighup", "%m [%p] ", "%m [%p] ")
LIBRARIES = Definition("shared_preload_libraries", "string", "postmaster", "", "")
PATH = Definition("search_path", "string", "user", '"$user", public', '"$user", public')
STANDBYS = Definition("synchronous_standby_names", "string", "sighup", "", "")


@pytest.mark.parametrize(
    ("definition", "spellings", "literals", "shown"),
    [
        (BOOL, [True, "on", "TRUE", "t", "yes", "1", 1], ("on",), "on"),
        (BOOL, [False, "off", "of", "F", "n", 0], ("off",), "off"),
        (ENUM, ["logical", "LOGICAL", " Logical"], ("logical",), "logical"),
        (ENUM, ["replica", "hot_standby", "Archive"], None, "replica"),
        (COMPRESSION, [True, "on", "pglz", "yes"], None, "pglz"),
        (COMPRESSION, [False, "off", "no"], ("off",), "off"),
        (SIZE, ["4GB", "4096MB", 4194304, "4194304", "4 GB"], None, "4GB"),
        (COUNT, [200, "200", 200.0, "2e2", "0xc8"], None, "200"),
        (REAL, [1.1, "1.1", "1.10"], None, "1.1"),
        (REAL, [2, "2", 2.0], None, "2"),
        (MODE, [0o640, "0640", "416"], None, "0640"),
        (TEXT, ["%m "], ("%m ",), "%m "),
        (LIBRARIES, ["a,b", "a , b", ["a", "b"], '"a", "b"'], ("a", "b"), "a, b"),
        (LIBRARIES, ["", [], "  "], ("",), ""),
        (LIBRARIES, ["$libdir/A", ["$libdir/A"]], ("$libdir/A",), '"$libdir/A"'),
        (LIBRARIES, [["a,b"], '"a,b"'], ("a,b",), '"a,b"'),
        (PATH, ['"$user", Public', '"$user",public', ["$user", "public"]], ("$user", "public"), '"$user", public'),
        (PATH, ['"Mine"', ["Mine"]], ("Mine",), '"Mine"'),
        (STANDBYS, ["FIRST 1 (a, b)"], ("FIRST 1 (a, b)",), "FIRST 1 (a, b)"),
        (STANDBYS, [["a", "b"], "a, b"], ("a, b",), "a, b"),
    ],
)
def test_spellings_of_one_value(definition, spellings, literals, shown):
    parsed = [values.parse(definition, spelling) for spelling in spellings]
    assert {value.meaning for value in parsed} == {parsed[0].meaning}
    assert parsed[0].shown == shown
    if literals:
        assert {value.literals for value in parsed} == {literals}


def test_a_plain_list_does_not_depend_on_spaces_and_capitals():
    first, second = (values.parse(STANDBYS, text) for text in ("FIRST 1 (a,b)", "first 1 (a, B)"))
    assert first.meaning == second.meaning


@pytest.mark.parametrize(
    ("definition", "wanted", "reason"),
    [
        (BOOL, "maybe", "not a boolean"),
        (BOOL, "o", "not a boolean"),
        (BOOL, "", "not a boolean"),
        (ENUM, "high", "minimal, replica, logical"),
        (ENUM, True, "minimal, replica, logical"),
        (SIZE, "1kB", "bounds 64 to 2147483647, counted in kB"),
        (SIZE, "4Gb", "valid units are B, kB, MB, GB, TB"),
        (SIZE, [1], "is a list"),
        (COUNT, True, "is not a number"),
        (COUNT, 262144, "bounds 1 to 262143"),
        (COUNT, "10MB", "where none is allowed"),
        (TEXT, "a\nb", "line break"),
        (TEXT, {"a": 1}, "neither"),
        (TEXT, ["a"], "is a list"),
        (LIBRARIES, '"a', "is not a list"),
        (LIBRARIES, '"a"b', "is not a list"),
        (LIBRARIES, ["a", None], "neither"),
    ],
)
def test_refused(definition, wanted, reason):
    with pytest.raises(BadValue, match=reason):
        values.parse(definition, wanted)


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_server_has_is_understood_once_and_written_back_as_it_was(server):
    for definition in DEFINITIONS[server].values():
        value = definition.in_force
        assert value is definition.in_force
        if value is None:
            assert definition.setting is None
            continue
        assert not value.fault, definition.name
        assert value.means(values.parse(definition, definition.setting)), definition.name
        if value.kind != values.LIST:
            assert value.restored() == (definition.setting,), definition.name


@pytest.mark.parametrize(
    ("definition", "text", "literals", "shown", "fault"),
    [
        (SIZE, "8192", ("8192",), "8MB", ""),
        (SIZE, " 8 MB", (" 8 MB",), "8MB", ""),
        (BOOL, "TRUE", ("TRUE",), "on", ""),
        (LIBRARIES, "a, b", ("a", "b"), "a, b", ""),
        (LIBRARIES, "", ("",), "", ""),
        (STANDBYS, "B, a", ("B, a",), "B, a", ""),
        (ENUM, "none", ("none",), "none", "is not one of the server's values minimal, replica, logical"),
        (SIZE, "8 parsecs", ("8 parsecs",), "8 parsecs", "has an unknown unit; valid units are B, kB, MB, GB, TB"),
    ],
)
def test_a_stored_text_is_read_whatever_it_is(definition, text, literals, shown, fault):
    value = values.stored(definition, text)
    assert (value.restored(), value.shown, value.fault) == (literals, shown, fault)
    assert values.stored(definition, None) is None


def test_a_broken_list_is_shown_and_cannot_be_written_back():
    value = values.stored(LIBRARIES, 'a, "b')
    assert value.shown == 'a, "b'
    with pytest.raises(BadValue, match="is not a list"):
        value.restored()


@pytest.mark.parametrize(
    ("definition", "one", "other", "means", "is_shown_as", "is_written_as"),
    [
        (SIZE, "8MB", "8192", True, True, True),
        (SIZE, "8MB", "9MB", False, False, False),
        (SIZE, "8MB", None, False, False, False),
        (REAL, "1.23456789", "1.23457", False, True, False),
        (ENUM, "none", "none", False, False, True),
        (ENUM, "none", "replica", False, False, False),
        (STANDBYS, "a, b", "A,B", True, True, True),
        (TEXT, "a", "A", False, False, False),
    ],
)
def test_when_two_values_are_the_same(definition, one, other, means, is_shown_as, is_written_as):
    value, another = values.stored(definition, one), values.stored(definition, other)
    found = (value.means(another), value.is_shown_as(another), value.is_written_as(another))
    assert found == (means, is_shown_as, is_written_as)
