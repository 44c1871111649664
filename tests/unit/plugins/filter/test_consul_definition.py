# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter's errors name the service and never the token."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scaleout.platform.plugins.filter.consul_definition import consul_definition


@pytest.mark.parametrize(
    ("service", "defaults", "message"),
    [
        ("shop", {}, "consul_definition: a service is a mapping with a name."),
        ({"port": 1}, {}, "consul_definition: a service is a mapping with a name."),
        ({"name": "shop", "port": "http"}, {}, "consul_definition: the service shop is not one."),
        ({"name": "shop", "checks": ["tcp"]}, {}, "consul_definition: the service shop is not one."),
    ],
)
def test_what_is_no_service_is_refused(service, defaults, message):
    with pytest.raises(AnsibleFilterError) as caught:
        consul_definition(service, defaults, "a-secret")
    assert str(caught.value) == message


def test_a_service_becomes_its_definition():
    assert consul_definition({"name": "shop"}, {}, "a-secret")["token"] == "a-secret"
