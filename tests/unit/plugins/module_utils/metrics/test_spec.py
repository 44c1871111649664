# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be asked, and that each option that cannot is named with its value, all at once."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import spec
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import Endpoint
from ansible_collections.scaleout.platform.plugins.modules.service_metrics_info import ARGUMENTS

DEFAULTS = {name: option.get("default") for name, option in ARGUMENTS.items()}
PARAMS = {**DEFAULTS, "service": "shop", "instance": "shop1"}


@pytest.mark.parametrize(
    ("options", "endpoint"),
    [
        ({}, None),
        ({"port": 8000}, Endpoint(False, "127.0.0.1", 8000, "/metrics")),
        ({"port": 8000, "path": "/a?b=c"}, Endpoint(False, "127.0.0.1", 8000, "/a?b=c")),
        ({"url": "http://shop.example"}, Endpoint(False, "shop.example", 80, "/")),
        ({"port": 8000, "url": "https://192.0.2.1:9443/m"}, Endpoint(True, "192.0.2.1", 9443, "/m")),
        ({"url": "https://[2001:db8::1]/m"}, Endpoint(True, "2001:db8::1", 443, "/m")),
    ],
)
def test_where_the_application_is_asked(options, endpoint):
    assert spec.read({**PARAMS, **options}).endpoint == endpoint


def test_what_may_be_asked():
    read = spec.read({**PARAMS, "unit": "shop@1.service", "interfaces": ["eth0"], "look": 0, "latency_metrics": []})
    assert (read.unit, read.interfaces, read.look, read.latency, read.port) == ("shop@1.service", ("eth0",), 0, (), 0)
    assert [selector.name for selector in read.requests][:2] == ["reference_api_requests_total", "http_requests_total"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"service": ""}, "service: '' is not 1 to 255 printable"),
        ({"instance": "a\n"}, "instance: 'a\\n' is not"),
        ({"instance": " a"}, "instance: ' a' is not"),
        ({"port": 0}, "port: 0 is not a port; a port is between 1 and 65535."),
        ({"port": 65536}, "port: 65536 is not a port"),
        ({"path": "metrics"}, "path: 'metrics' must begin with a slash"),
        ({"path": "/a b"}, "path: '/a b' must begin with a slash and have no blanks."),
        ({"url": "127.0.0.1:8000"}, "url: '127.0.0.1:8000' is not a URL such as"),
        ({"url": "http://user:secret@shop/metrics"}, "url: "),
        ({"url": "http://shop:0/"}, "url: 'http://shop:0/' is not a URL"),
        ({"url": "http://shop:65536/"}, "url: 'http://shop:65536/' is not a URL"),
        ({"url": "file:///etc/passwd"}, "url: 'file:///etc/passwd' is not a URL"),
        ({"url": "http://shop/a\r\nX: y"}, "url: 'http://shop/a\\r\\nX: y' is not a URL"),
        ({"host": "a\r\nX: y"}, "host: 'a\\r\\nX: y' is not a host name"),
        ({"timeout": 0.0}, "timeout: 0.0 must be more than 0"),
        ({"timeout": float("nan")}, "timeout: nan must be more than 0"),
        ({"timeout": 61.0}, "timeout: 61.0 must be more than 0 and at most 60 seconds."),
        ({"look": 0.05}, "look: 0.05 must be 0, or 0.1 to 10 seconds."),
        ({"look": -1.0}, "look: -1.0 must be"),
        ({"look": 11.0}, "look: 11.0 must be"),
        ({"unit": "shop"}, "unit: 'shop' is not the name of a unit with its suffix, such as shop.service."),
        ({"unit": "../a.service"}, "unit: '../a.service' is not the name"),
        ({"interfaces": ["eth0", "a/b"]}, "interfaces: 'a/b' is not the name of a network interface."),
        ({"requests_metrics": ["a", "a{b"]}, "requests_metrics: 'a{b' is not a metric such as"),
        ({"errors_metrics": ['a{b=~"("}']}, "errors_metrics: 'a{b=~\"(\"}' has a pattern for b that is not one: "),
        ({"latency_metrics": ["a{b}"]}, "latency_metrics: 'a{b}' has labels that are not"),
    ],
)
def test_what_cannot_be_asked(options, says):
    with pytest.raises(ScaleoutError) as refused:
        spec.read({**PARAMS, **options})
    assert refused.value.code == "invalid_input"
    assert refused.value.message.startswith(says)
    assert refused.value.facts["option"] == next(iter(options))
    assert "secret" not in refused.value.message


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ScaleoutError) as refused:
        spec.read({**PARAMS, "port": -1, "look": 20.0, "unit": "x"})
    assert [refused.value.message.count(f"{option}: ") for option in ("port", "look", "unit")] == [1, 1, 1]
