# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx's driver: what its watches have to say is a part of nginx's health."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import nginx
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import UnitState

UNIT = "nginx-upstream@shop.service does not follow Consul: "


@pytest.mark.parametrize(
    ("active", "state", "expected"),
    [
        (True, "", []),
        (True, None, [UNIT + "it has not had an answer of Consul yet"]),
        (
            True,
            'nginx does not take the new upstream, the old one is back: open() "/data/access.log" failed',
            [UNIT + 'nginx does not take the new upstream, the old one is back: open() "/data/access.log" failed'],
        ),
        # nginx itself comes first.
        (False, None, ["nginx.service is not running"]),
    ],
)
def test_h9_a_watch_that_does_not_work_is_told(monkeypatch, tmp_path, active, state, expected):
    monkeypatch.setattr(nginx, "WATCHES", str(tmp_path))
    if state is not None:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "state").write_text(state)
    driver = nginx.Nginx("nginx", ["nginx.service"], {"watched": ["shop"]}, {}, "")
    monkeypatch.setattr(driver, "look", lambda: [UnitState("nginx.service", known=True, active=active)])
    assert driver.ailments() == expected
