# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said to Consul of hosts that are gone, and for how long it is waited."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.forget_nodes import ForgetNodes


class Members:
    """Consul with members, a catalog and tokens; one that is in ``alive`` comes back.

    ``holders`` have a token of their own. ``shared`` says that there is the one of all, which the nodes use.
    """

    def __init__(self, members="", nodes="", alive="", holders="", shared=False, acls=True):
        self.members, self.nodes, self.alive, self.told = set(members.split()), set(nodes.split()), alive.split(), []
        names = [f"scaleout-host-{name}" for name in holders.split()] + ["scaleout-agent"] * shared
        self.links, self.acls = {f"of {name}": name for name in names}, acls

    def ask(self, path, nothing=()):
        if path == "/v1/agent/members":
            return [{"Name": name, "Status": 4} for name in sorted(self.members)]
        if path == "/v1/acl/tokens":
            tokens = [
                {"AccessorID": accessor, "Description": "scaleout-agent", "Policies": [{"Name": name}]}
                for accessor, name in self.links.items()
            ]
            return tokens if self.acls else None
        if path == "/v1/acl/policies":
            return [{"ID": f"policy {name}", "Name": name} for name in set(self.links.values())]
        if path == "/v1/catalog/services":
            return {}
        return [{"Node": name} for name in sorted(self.nodes)]

    def remove(self, path):
        self.told.append(path)
        self.links.pop(path.split("/")[-1], None)

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


def test_l3_a_host_loses_its_token_before_it_leaves_the_catalog():
    consul = Members("api4", "api4", holders="api1 api4")
    assert forget(consul) == (["api4"], [])
    assert consul.told == [
        "/v1/acl/token/of scaleout-host-api4",
        "/v1/acl/policy/policy scaleout-host-api4",
        "/v1/agent/force-leave/api4?prune=true",
        "/v1/catalog/deregister",
    ]
    assert list(consul.links) == ["of scaleout-host-api1"]


def test_l3_a_token_goes_though_consul_knows_nothing_else_of_the_host():
    consul = Members(holders="api4")
    assert forget(consul) == ([], [])
    assert not consul.links


def test_a_host_that_only_leaves_the_catalog_keeps_its_token():
    consul = Members("api4", "api4", holders="api4")
    forget(consul, "deregistered")
    assert list(consul.links) == ["of scaleout-host-api4"]


@pytest.mark.parametrize(("nodes", "left"), [("api4", []), ("api1 api4", ["of scaleout-agent"])])
def test_the_token_of_all_goes_with_the_last_host_that_uses_it(nodes, left):
    consul = Members("api4", nodes, shared=True)
    forget(consul)
    assert list(consul.links) == left


def test_a_consul_without_acls_has_no_tokens():
    consul = Members("api4", "api4", acls=False)
    assert forget(consul) == (["api4"], [])
    assert consul.told == ["/v1/agent/force-leave/api4?prune=true", "/v1/catalog/deregister"]
