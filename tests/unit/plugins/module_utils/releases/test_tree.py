# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Layers laid one over another: what hides what, and that nothing leads out."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases import tree
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import is_safe


def member(name: str, kind: str = "file", target: str = "") -> tree.Member:
    return tree.Member(name, kind, target=target, read=lambda: io.BytesIO(name.encode()))


def layer(*items: str) -> list[tree.Member]:
    """Make members of ``dir/``, ``file``, ``link -> target`` and ``hard => target``."""
    members = []
    for item in items:
        for arrow, kind in ((" -> ", "link"), (" => ", "hard link")):
            if arrow in item:
                name, _arrow, target = item.partition(arrow)
                members.append(member(name, kind, target))
                break
        else:
            members.append(member(item, "directory" if item.endswith("/") else "file"))
    return members


def shown(laid: tree.Tree) -> list[str]:
    """Write a tree as :func:`layer` takes it; a file's contents tell which name brought it."""
    found = []
    for path, node in laid.walk():
        if isinstance(node, tree.Directory):
            found.append(path + "/")
        elif isinstance(node, tree.Link):
            found.append(f"{path} -> {node.target}")
        else:
            came_as = node.read().read().decode()
            found.append(path if came_as == path else f"{path} = {came_as}")
    return sorted(found)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([["a/", "a/b"]], ["a/", "a/b"]),
        ([["./a/", "./a//b"]], ["a/", "a/b = ./a//b"]),
        # What is above a file need not be listed.
        ([["a/b/c"]], ["a/", "a/b/", "a/b/c"]),
        ([["a/x"], ["a/", "a/y"]], ["a/", "a/x", "a/y"]),
        ([["a/x"], ["a/.wh.x"]], ["a/"]),
        ([["a/x"], [".wh.a"]], []),
        ([["a/x"], ["a/.wh.y", "b/.wh.z"]], ["a/", "a/x"]),
        # A whiteout hides what is below, not what comes with it, whichever is first.
        ([["a/x"], ["a/x", "a/.wh.x"]], ["a/", "a/x"]),
        ([["a/x", "a/d/y"], ["a/z", "a/.wh..wh..opq"]], ["a/", "a/z"]),
        ([["a/x", "b"], [".wh..wh..opq", "c"]], ["c"]),
        ([["a/x"], ["a/.wh..wh.plnk"]], ["a/", "a/x"]),
        ([["a/x"], ["a"]], ["a"]),
        ([["a"], ["a/", "a/x"]], ["a/", "a/x"]),
        ([["a/x", "l -> a"], ["l"]], ["a/", "a/x", "l"]),
        # What is below a link to a directory is in that directory, also when the link leads up.
        ([["usr/lib/", "lib -> usr/lib"], ["lib/x"]], ["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x = lib/x"]),
        ([["usr/lib/x", "lib -> /usr/lib"], ["lib/.wh.x"]], ["lib -> /usr/lib", "usr/", "usr/lib/"]),
        ([["up -> ../../..", "up/x"]], ["up -> ../../..", "x = up/x"]),
        ([["a -> b"], ["a/x"]], ["a -> b", "b/", "b/x = a/x"]),
        # But a directory takes a link's place, and what it hides is not what the link led to.
        ([["usr/lib/x", "lib -> usr/lib"], ["lib/", "lib/.wh..wh..opq"]], ["lib/", "usr/", "usr/lib/", "usr/lib/x"]),
        ([["a", "b => a"]], ["a", "b = a"]),
        ([["d/a"], ["b => d/a", ".wh.d"]], None),
        ([["d/a"], ["b => d/a"], [".wh.d"]], ["b = d/a"]),
        ([["l -> x", "m => l"]], ["l -> x", "m -> x"]),
        ([["a", "b => a"], ["a"]], ["a", "b = a"]),
    ],
)
def test_layers(layers, expected):
    laid = tree.Tree("image.tar")
    try:
        for items in layers:
            laid.apply(layer(*items))
    except Refused:
        assert expected is None
        return
    assert shown(laid) == expected


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (["../x"], "holds '../x', which leads out of it"),
        (["a/../../x"], "which leads out of it"),
        (["a/../x"], "which leads out of it"),
        (["/etc/passwd"], "which leads out of it"),
        (["a/.wh.x/../../y"], "which leads out of it"),
        (["a\0b"], "which leads out of it"),
        (["a => ../x"], "holds '../x', which leads out of it"),
        (["a -> \0", "a/a"], "holds 'a', a link to '\\x00', which is no path"),
        (["a => /etc/passwd"], "which leads out of it"),
        (["a => b"], "holds 'a', a hard link to 'b', which is no file in it"),
        (["d/", "a => d"], "which is no file in it"),
        (["a => "], "which is no file in it"),
        (["a", "a/b"], "holds 'a/b', which is below something that is no directory"),
        (["a -> b", "b -> a", "a/x"], "links that lead to each other"),
    ],
)
def test_what_is_refused(items, says):
    with pytest.raises(Refused, match=r"^image\.tar ") as error:
        tree.Tree("image.tar").apply(layer(*items))
    assert says in error.value.message


@pytest.mark.parametrize(
    ("items", "out"),
    [
        (["a/x", "l -> a/x", "a/m -> ../a/x"], False),
        (["l -> nothing/there"], False),
        (["l -> .", "a/b/m -> ../.."], False),
        (["l -> /etc/passwd"], True),
        (["l -> .."], True),
        (["a/l -> ../../x"], True),
        # Lexically inside; but the directory it goes up from is not as deep as its name.
        (["top/", "a/b/c -> ../../top", "l -> a/b/c/../.."], True),
        (["l -> l"], True),
    ],
)
def test_links_that_lead_out(items, out):
    laid = tree.Tree("shop.zip")
    laid.apply(layer(*items))
    if out:
        with pytest.raises(Refused, match="which leads out of it"):
            laid.refuse_links_out()
    else:
        laid.refuse_links_out()


names = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
hiding = st.builds(lambda name, last: f"{name}/{last}", names, st.sampled_from([".wh.a", ".wh.b", ".wh..wh..opq"]))
items = st.one_of(names, names.map(lambda name: name + "/"), hiding)


def naively(layers: list[list[str]]) -> dict[str, str] | None:
    """What the layers give, by comparing paths as texts; None when a path is below a file."""
    found: dict[str, str] = {}
    for listed in layers:
        for item in listed:
            above, _slash, name = item.rpartition("/")
            gone = f"{above}/" if name == ".wh..wh..opq" else f"{above}/{name[4:]}" if name.startswith(".wh.") else None
            if gone is not None:
                below = gone if gone.endswith("/") else f"{gone}/"
                found = {path: kind for path, kind in found.items() if path != gone and not path.startswith(below)}
        for item in listed:
            path, kind = item.rstrip("/"), "/" if item.endswith("/") else ""
            if ".wh." in path:
                continue
            parts = path.split("/")
            for depth in range(1, len(parts)):
                if found.setdefault("/".join(parts[:depth]), "/") == "":
                    return None
            if kind == "":
                found = {other: was for other, was in found.items() if not other.startswith(path + "/")}
            found[path] = kind
    return found


@given(st.lists(st.lists(items, max_size=6), max_size=4))
def test_it_is_as_comparing_paths_would_have_it(layers):
    expected = naively(layers)
    laid = tree.Tree("image.tar")
    try:
        for listed in layers:
            laid.apply(layer(*listed))
    except Refused:
        assert expected is None
        return
    assert expected is not None
    assert shown(laid) == sorted(path + kind for path, kind in expected.items())


wild = st.text("a./\0é", max_size=8)
wild_members = st.builds(member, wild, st.sampled_from(["file", "directory", "link", "hard link", "device"]), wild)


@given(st.lists(st.lists(wild_members, max_size=5), max_size=3), wild)
def test_whatever_the_names_say_every_path_is_inside(layers, path):
    laid = tree.Tree("image.tar")
    with contextlib.suppress(Refused):
        for members in layers:
            laid.apply(members)
        laid.place("var/lib/shop")
        laid.place("etc/hosts", file=True)
    assert all(is_safe(found) for found, _node in laid.walk())
    with contextlib.suppress(Refused):
        laid.find(path)
        laid.refuse_links_out()
