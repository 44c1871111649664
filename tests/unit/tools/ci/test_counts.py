# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the budget counts: filters by Jinja's own parser, conditions on words through variables too, tasks, lines."""

from __future__ import annotations

import counts
import pytest
import yaml


def condition(value):
    return counts.Text(1, value, is_condition=True)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain text | with | bars | in it", []),
        ("{{ a }}", [0]),
        ("{{ a | b }} and {{ c | d | e | f }}", [1, 3]),
        # Within parentheses, arguments, literals and conditional expressions.
        ("{{ (a | b) + [c | d] | e }}", [3]),
        ("{{ a | b(c | d) if e | f else g }}", [3]),
        ("{{ {'x': a | b}.x }}", [1]),
        # A bar in a string is no filter, and neither is a test.
        ("{{ 'a | b | c | d' is match('x|y|z') }}", [0]),
        ("{% if a | b %}x{% elif c | d | e | f %}y{% endif %}", [1, 3]),
        ("{% for x in a | b | c %}{{ x }}{% endfor %}", [0, 2]),
        ("{% set x = a | b | c | d %}{% do x.append(1 | e) %}", [1, 3]),
        # Ansible's filters and tests by their full names.
        ("{{ a | ansible.builtin.to_json | ansible.builtin.b64encode is ansible.builtin.match('x') }}", [2]),
    ],
)
def test_filters_of_expressions(source, expected):
    assert sorted(map(counts.filters, counts.expressions(source))) == sorted(expected)


@pytest.mark.parametrize("value", ["a | b | c", "{{ a | b | c }}"])
def test_a_condition_needs_no_braces(value):
    (expression,) = counts.parsed(condition(value))
    assert counts.filters(expression) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'gone' in result.msg", True),
        ("'gone' not in result.stderr | default('')", True),
        ("'gone' in result['msg']", True),
        ("r.rc != 0 and not (r.stdout == 'yes')", True),
        ("r.stdout_lines | select('search', 'error') | list", True),
        ("r.msg is match('no such')", True),
        ("r.content is search('x')", True),
        ("r.msg.startswith('no')", True),
        ("(r.stderr | regex_search('x')) != ''", True),
        ("needle in r.msg", True),
        ("r.rc == 0", False),
        ("r.code == 'unreachable'", False),
        ("r.msg is defined", False),
        ("r.stdout | int > 3", False),
        ("r.stdout_lines | length >= 2", False),
        ("r.stdout != ''", False),
        ("(r.content | from_json).state == 'up'", False),
        ("r.stdout | from_json | selectattr('state', 'equalto', 'up') | list", False),
        ("'name' in names", False),
    ],
)
def test_judges_words(value, expected):
    assert any(map(counts.judges_words, counts.parsed(condition(value)))) is expected


PLAYBOOK = """
- import_playbook: other.yml
- hosts: all
  pre_tasks:
    - ping:
  tasks:
    - block:
        - ping:
      rescue:
        - debug: {msg: x}
      always:
        - debug: {msg: x}
  handlers:
    - ping:
"""


def test_tasks_of_a_playbook():
    assert len(list(counts.tasks(yaml.compose(PLAYBOOK), False))) == 5


def test_tasks_of_a_role():
    assert len(list(counts.tasks(yaml.compose("- ping:\n- block:\n  - ping:\n"), True))) == 2


def test_texts():
    document = yaml.compose(
        "- a: plain\n  b: '{{ x }}'\n  when:\n    - y\n    - z\n"
        "  c: !unsafe '{{ raw }}'\n  d: >-\n    {{ a\n    + b }}\n"
    )
    found = [(text.line, text.value, text.is_condition) for text in counts.texts(document)]
    assert found == [(2, "{{ x }}", False), (4, "y", True), (5, "z", True), (7, "{{ a + b }}", False)]


def house(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return counts.House(root)


def test_a_house(tmp_path):
    found = house(
        tmp_path,
        {
            "roles/r/vars/main.yml": "_gone: \"{{ 'no such' in __x.msg }}\"\n_far: '{{ _gone }}'\n" + "#\n" * 39,
            "roles/r/vars/other/short.yml": "a: '{{ b | c | d | e }}'\n",
            "roles/r/tasks/main.yml": "- ping:\n  when: _far\n- ping:\n  failed_when: __x.rc != 0\n",
            "roles/s/tasks/main.yml": "- ping:\n  when: _far\n",
            "roles/r/files/run.sh": "#!/bin/sh\ntrue\n",
            "roles/reference_api/files/x.py": "1\n" * 9,
            "roles/r/templates/x.j2": "{{ a | b | c | d }}\n{{ e }}\n",
            "playbooks/x.yml": "- hosts: a\n  tasks:\n    - ping:\n"
            "      vars: {_x: \"{{ 'a' in r.msg }}\"}\n      until: _x\n",
        },
    )
    assert found.totals() == {
        "conditions_on_words": 2,
        "copied_lines": 2,
        "deep_in_templates": 1,
        "deep_in_yaml": 1,
        "jinja_lines": 8,
        "long_vars_files": 1,
        "task_lines": 11,
        "tasks": 4,
        "template_lines": 2,
        "vars_lines": 42,
    }
    assert list(found.where("conditions_on_words")) == [
        "  playbooks/x.yml: line 5",
        "  roles/r/tasks/main.yml: line 2",
    ]
    assert not found.faults


def test_what_jinja_cannot_read_is_a_fault(tmp_path):
    found = house(tmp_path, {"roles/r/tasks/main.yml": "- ping:\n  when: a ==\n", "roles/r/templates/x.j2": "{% if %}"})
    assert [fault.partition(" ")[0] for fault in found.faults] == [
        "roles/r/templates/x.j2:1:",
        "roles/r/tasks/main.yml:2:",
    ]


@pytest.mark.parametrize(
    ("totals", "expected"), [({"a": 3}, []), ({"a": 2}, []), ({}, []), ({"a": 4}, ["a"]), ({"b": 9}, [])]
)
def test_over(totals, expected):
    assert counts.over(totals, {"a": 3}) == expected


def test_lowered_never_raises_and_keeps_comments():
    before = "# why\na = 5\nb = 5\nc = 5\n"
    assert counts.lowered(before, {"a": 3, "b": 9}) == "# why\na = 3\nb = 5\nc = 0\n"


def test_the_exit_status_says_which_and_where(tmp_path, monkeypatch, capsys):
    house(tmp_path, {"roles/r/tasks/main.yml": "- ping:\n- ping:\n"})
    monkeypatch.setattr(counts, "BUDGET", tmp_path / "counts.toml")
    counts.BUDGET.write_text("tasks = 1\n")
    assert counts.main(["--root", str(tmp_path)]) == 1
    assert "tasks is 2" in (told := capsys.readouterr().out)
    assert "roles/r/tasks/main.yml: line 1, 2" in told
    counts.BUDGET.write_text("tasks = 7\n")
    assert counts.main(["--root", str(tmp_path), "--write"]) == 0
    assert counts.BUDGET.read_text() == "tasks = 2\n"
