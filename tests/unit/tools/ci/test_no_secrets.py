# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a secret is refused, and what only looks like one."""

from __future__ import annotations

import no_secrets
import pytest
import yaml


@pytest.mark.parametrize(
    ("play", "told"),
    [
        ("{name: Ask, command: {argv: [redis-cli]}, environment: {REDISCLI_AUTH: x}}", ["REDISCLI_AUTH in its"]),
        ("{name: Ask, command: x, environment: {PLACE: '{{ redis_password }}'}}", ["PLACE in its environment"]),
        ("{name: Ask, command: x, environment: [{A: b}, {CONSUL_HTTP_TOKEN: x}]}", ["CONSUL_HTTP_TOKEN in its"]),
        ("{name: All, hosts: all, environment: {PGPASSWORD: x}, tasks: []}", ["PGPASSWORD in its environment"]),
        ("{block: [{name: In, command: x, environment: {API_KEY: x}}]}", ["API_KEY in its environment"]),
        (
            "{hosts: all, tasks: [{name: In, rescue: [{command: 'x {{ my_secret }}'}]}]}",
            ["my_secret on a command line"],
        ),
        ("{ansible.builtin.command: {argv: [x, '--t={{ consul_management_token }}']}}", ["consul_management_token on"]),
        ("{ansible.builtin.shell: {cmd: 'x {% if a %}{{ a.password }}{% endif %}'}}", ["password on a command line"]),
        ("{shell: 'curl {{ vault_shop_credential | quote }}'}", ["vault_shop_credential on a command line"]),
        # A secret goes by stdin, by a file, or as a module's option.
        ("{command: {argv: [x], stdin: '{{ redis_password }}'}}", []),
        ("{scaleout.platform.members: {consul_token: '{{ consul_management_token }}'}}", []),
        ("{scaleout.platform.release: {environment: {PASSWORD: x}}}", []),
        # What names where a secret is, or asks about it.
        ("{command: x, environment: {CONSUL_HTTP_TOKEN_FILE: /etc/t, AUTHOR: ann, LANG: C}}", []),
        ("{command: 'x {{ password_file }} {{ auth_url }}'}", []),
        ("{command: \"x {{ a | default('no password') }}\"}", []),
        ("{command: 'echo password'}", []),
    ],
)
def test_x2_a_secret_in_an_environment_or_on_a_command_line(play, told):
    found = list(no_secrets.faults([yaml.safe_load(play)]))
    assert len(found) == len(told)
    assert all(part in fault for part, fault in zip(told, found, strict=True))


def test_x2_x3_there_is_none():
    assert no_secrets.main() == 0
