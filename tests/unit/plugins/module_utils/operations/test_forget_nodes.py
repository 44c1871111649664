# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said to Consul of hosts that are gone, and for how long it is waited."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.forget_nodes import ForgetNodes


class Members:
    """Consul with members and a catalog; one that is in ``alive`` comes back."""

    def __init__(self, members="", nodes="", alive=""):
        self.members, self.nodes, self.alive, self.told = set(members.split()), set(nodes.split()), alive.split(), []

    def ask(self, path):
        if path == "/v1/agent/members":
            return [{"Name": name, "Status": 4} for name in sorted(self.members)]
        return [{"Node": name} for name in sorted(self.nodes)]

    def tell(self, path, body=None):
        self.told.append(path)
        if body:
            self.nodes -= {body["Node"]} - set(self.alive)
        else:
            self.members -= {path.split("/")[-1].split("?")[0]} - set(self.alive)

    def close(self):
        pass


def forget(consul, state="absent", names=("api4",)):
    waits = []
    task = ForgetNodes(consul, names, state, 2.0, waits.append)
    plan = task.plan()
    if plan.changed:
        task.apply(plan)
    return plan.result["forgotten"], waits


@pytest.mark.parametrize(
    ("members", "nodes", "state", "forgotten", "told"),
    [
        ("", "", "absent", [], []),
        ("api1", "api1", "absent", [], []),
        ("api4", "api4", "absent", ["api4"], ["force-leave/api4?prune=true", "deregister"]),
        ("api4", "", "absent", ["api4"], ["force-leave/api4?prune=true", "deregister"]),
        ("", "api4", "absent", ["api4"], ["deregister"]),
        # It is a member still; its services are not offered any more.
        ("api4", "api4", "deregistered", ["api4"], ["deregister"]),
        ("api4", "", "deregistered", [], []),
    ],
)
def test_what_consul_is_told(members, nodes, state, forgotten, told):
    consul = Members(members, nodes)
    assert forget(consul, state) == (forgotten, [])
    assert [path.removeprefix("/v1/agent/").removeprefix("/v1/catalog/") for path in consul.told] == told


def test_s11_it_is_waited_until_the_name_is_free():
    with pytest.raises(Refused, match="Consul still knows api4 after 2 s: an agent of that name is alive") as refused:
        forget(Members("api4", "api4", alive="api4"))
    assert refused.value.code == "still_known"
