# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives and images as they come, and as they should not."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import pathlib
import stat
import tarfile
import tempfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.releases import engine, files, sources
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import JUNK, digest


@pytest.fixture
def stack():
    with contextlib.ExitStack() as opened:
        yield opened


def tar_of(*members: tuple, mode: str = "w") -> bytes:
    """Make a tar of (name, contents or None for a directory, mode or link)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, contents, more in members:
            info = tarfile.TarInfo(name)
            if isinstance(more, tuple):
                info.type, info.linkname = more
            else:
                info.mode = more
                info.type = tarfile.DIRTYPE if contents is None else tarfile.REGTYPE
            info.size = len(contents or b"")
            tar.addfile(info, io.BytesIO(contents or b""))
    return stream.getvalue()


BASE = tar_of(
    ("bin", None, 0o755),
    ("bin/busybox", b"BUSYBOX", 0o4755),
    ("bin/sh", None, (tarfile.SYMTYPE, "/bin/busybox")),
    ("bin/httpd", None, (tarfile.LNKTYPE, "bin/busybox")),
    ("dev/null", None, (tarfile.CHRTYPE, "")),
    ("etc/passwd", b"root", 0o600),
    ("etc/resolv.conf", None, (tarfile.SYMTYPE, "/run/resolv.conf")),
    ("www/old", b"old", 0o644),
)
UPPER = tar_of(("www/.wh.old", b"", 0o644), ("www/new", b"new", 0o644), ("app/serve", b"#!/bin/sh", 0o700))
CONFIG = {
    "Entrypoint": ["httpd"],
    "Cmd": ["-f"],
    "Env": ["PATH=/sbin:/bin", "GREETING=a=b"],
    "WorkingDir": "/app",
    "User": "1000",
    "Volumes": {"/data/": {}},
}


def parts_of_image(layers: list[bytes], **more) -> tuple[bytes, list[bytes]]:
    known = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    described = {"os": "linux", "config": CONFIG, "rootfs": {"diff_ids": known}, **more}
    return json.dumps(described).encode(), layers


def docker_image(config: bytes, layers: list[bytes]) -> bytes:
    names = [f"{number}/layer.tar" for number, _layer in enumerate(layers)]
    manifest = json.dumps([{"Config": "config.json", "Layers": names}]).encode()
    named = [("config.json", config), *zip(names, layers, strict=True), ("manifest.json", manifest)]
    return tar_of(*((name, contents, 0o644) for name, contents in named))


def oci_image(config: bytes, layers: list[bytes], nested: bool = False, platforms: tuple = (None,)) -> bytes:
    blobs: dict[str, bytes] = {}

    def blob(contents: bytes) -> dict:
        found = hashlib.sha256(contents).hexdigest()
        blobs[f"blobs/sha256/{found}"] = contents
        return {"digest": f"sha256:{found}"}

    manifest = {"config": blob(config), "layers": [blob(gzip.compress(layer)) for layer in layers]}
    listed = [{**blob(json.dumps(manifest).encode()), **({"platform": item} if item else {})} for item in platforms]
    index = {"manifests": listed}
    if nested:
        index = {"manifests": [blob(json.dumps(index).encode())]}
    blobs["index.json"] = json.dumps(index).encode()
    return tar_of(*((name, contents, 0o644) for name, contents in blobs.items()))


IMAGES = {
    "docker": docker_image(*parts_of_image([BASE, UPPER])),
    "packed": gzip.compress(docker_image(*parts_of_image([BASE, UPPER]))),
    "oci": oci_image(*parts_of_image([BASE, UPPER])),
    "nested": oci_image(*parts_of_image([BASE, UPPER]), nested=True),
    "attested": oci_image(
        *parts_of_image([BASE, UPPER]), platforms=({"os": "linux"}, {"os": "unknown", "architecture": "unknown"})
    ),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image(tmp_path, stack, kind):
    (tmp_path / "image.tar").write_bytes(IMAGES[kind])
    image = sources.image(str(tmp_path / "image.tar"), ["/var/lib/shop"], stack)
    shown = {entry.path: entry.target or entry.executable for entry in image.entries if entry.kind != "directory"}
    assert shown == {
        "bin/busybox": True,
        "bin/sh": "/bin/busybox",
        "bin/httpd": True,
        "etc/passwd": False,
        "etc/resolv.conf": False,
        "etc/hosts": False,
        "www/new": False,
        "app/serve": True,
    }
    assert {"proc", "tmp", "var/lib/shop", "data", "app"} <= {entry.path for entry in image.entries}
    assert image.image == {
        "command": ["httpd", "-f"],
        "environment": {"PATH": "/sbin:/bin", "GREETING": "a=b"},
        "working_directory": "/app",
        "user": "1000",
        "volumes": ["/data"],
    }
    files.pack(image.read, image.entries, str(tmp_path / "packed"))
    files.unpack(str(tmp_path / "packed"), str(tmp_path / "release"), digest(image.entries))
    assert (tmp_path / "release/bin/httpd").read_bytes() == b"BUSYBOX"
    assert stat.S_IMODE((tmp_path / "release/bin/httpd").stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "release/bin/sh") == "/bin/busybox"
    assert files.scan(str(tmp_path / "release"), (), unpacked=True) == image.entries


@pytest.mark.parametrize(
    ("word", "path"),
    [("httpd", "/bin/httpd"), ("sh", "/bin/sh"), ("./serve", "/app/serve"), ("/bin/../bin/sh", "/bin/sh")],
)
def test_a_program_in_an_image(tmp_path, stack, word, path):
    (tmp_path / "image.tar").write_bytes(IMAGES["docker"])
    assert sources.image(str(tmp_path / "image.tar"), [], stack).program(word) == path


@pytest.mark.parametrize(
    ("word", "says"),
    [("bash", "has no bash"), ("/etc/passwd", "which cannot be run"), ("serve", "has no serve"), ("/bin", "has no")],
)
def test_a_program_that_an_image_has_not(tmp_path, stack, word, says):
    (tmp_path / "image.tar").write_bytes(IMAGES["docker"])
    with pytest.raises(Refused, match=says):
        sources.image(str(tmp_path / "image.tar"), [], stack).program(word)


def other_platforms(*names: str) -> bytes:
    platforms = tuple({"os": "linux", "architecture": name} for name in names)
    return oci_image(*parts_of_image([BASE]), platforms=platforms)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (b"", "is no image"),
        (b"not a tar at all" * 100, "is no image"),
        (IMAGES["docker"][:4096], "is no image"),
        (IMAGES["packed"][:200], "is no image"),
        (gzip.compress(b"no tar"), "is no image"),
        (b"\x28\xb5\x2f\xfd" + b"0" * 512, "is packed with zstd"),
        (tar_of(("readme", b"hello", 0o644)), "it has neither a manifest.json nor an index.json"),
        (tar_of(("manifest.json", b"{", 0o644)), "is no image"),
        (tar_of(("manifest.json", b"[]", 0o644)), "holds 0 images"),
        (tar_of(("manifest.json", b"[{}, {}]", 0o644)), "holds 2 images; save one alone"),
        (tar_of(("manifest.json", b"[{}]", 0o644)), "it has no 'Config'"),
        (tar_of(("manifest.json", b"[7]", 0o644)), "is no image"),
        (tar_of(("manifest.json", b'[{"Config": "c", "Layers": []}]', 0o644)), "it has no 'c'"),
        (tar_of(("manifest.json", None, 0o755)), "it has no 'manifest.json'"),
        (other_platforms("one", "two"), "holds 0 images for"),
        (docker_image(*parts_of_image([BASE], os="windows")), "is no image of a Linux system"),
        (docker_image(parts_of_image([BASE])[0], [BASE, UPPER]), "whose layers are all there"),
        (docker_image(parts_of_image([BASE])[0], [UPPER]), "has a layer that is not sha256:"),
        (docker_image(*parts_of_image([b"no tar" * 100])), "is no image"),
        (docker_image(*parts_of_image([tar_of(("../../etc/x", b"", 0o644))])), "holds '../../etc/x', which leads out"),
        (docker_image(*parts_of_image([tar_of(("/etc/x", b"", 0o644))])), "which leads out of it"),
        (
            docker_image(*parts_of_image([tar_of(("x", None, (tarfile.LNKTYPE, "../../etc/shadow")))])),
            "holds '../../etc/shadow', which leads out of it",
        ),
        (
            docker_image(*parts_of_image([tar_of(("x", None, (tarfile.LNKTYPE, "etc/shadow")))])),
            "a hard link to 'etc/shadow', which is no file in it",
        ),
    ],
)
def test_what_is_no_image(tmp_path, stack, contents, says):
    (tmp_path / "image.tar").write_bytes(contents)
    with pytest.raises(ScaleoutError) as error:
        sources.image(str(tmp_path / "image.tar"), [], stack)
    assert says in error.value.message
    assert str(tmp_path / "image.tar") in error.value.message
    assert error.value.message.endswith(".")


def test_a_source_that_is_not_there(tmp_path, stack):
    for path, says in ((tmp_path / "none", "does not exist"), (tmp_path, "is not a file")):
        with pytest.raises(ScaleoutError, match=says):
            sources.image(str(path), [], stack)
        with pytest.raises(ScaleoutError, match=says):
            sources.archive(str(path), (), 0, stack)


@settings(max_examples=200)
@given(st.data())
def test_a_broken_image_is_read_or_refused(data):
    contents = bytearray(IMAGES[data.draw(st.sampled_from(["docker", "oci"]))])
    for place in data.draw(st.lists(st.integers(0, len(contents) - 1), min_size=1, max_size=4)):
        contents[place] = data.draw(st.integers(0, 255))
    del contents[data.draw(st.integers(0, len(contents))) :]
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        path = pathlib.Path(place, "image.tar")
        path.write_bytes(contents)
        with contextlib.suppress(ScaleoutError):
            sources.image(str(path), [], stack)


APP = (
    ("shop-1.4", None, 0o755),
    ("shop-1.4/serve", b"#!/bin/sh", 0o750),
    ("shop-1.4/same", None, (tarfile.LNKTYPE, "shop-1.4/serve")),
    ("shop-1.4/lib/a.py", b"A", 0o600),
    ("shop-1.4/lib/b.py", None, (tarfile.SYMTYPE, "a.py")),
    ("shop-1.4/lib/a.pyc", b"junk", 0o600),
)


def zipped(*members: tuple, **options) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, contents, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, contents)
    return stream.getvalue()


ARCHIVES = {
    "gz": tar_of(*APP, mode="w:gz"),
    "xz": lzma.compress(tar_of(*APP)),
    "bz2": tar_of(*APP, mode="w:bz2"),
    "plain": tar_of(*APP),
    "zip": zipped(
        ("shop-1.4/", b"", stat.S_IFDIR | 0o755),
        ("shop-1.4/serve", b"#!/bin/sh", stat.S_IFREG | 0o750),
        ("shop-1.4/same", b"#!/bin/sh", stat.S_IFREG | 0o750),
        ("shop-1.4/lib/a.py", b"A", stat.S_IFREG | 0o600),
        ("shop-1.4/lib/b.py", b"a.py", stat.S_IFLNK | 0o777),
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive(tmp_path, stack, kind):
    (tmp_path / "shop").write_bytes(ARCHIVES[kind])
    source = sources.archive(str(tmp_path / "shop"), JUNK, 1, stack)
    shown = [(entry.path, entry.kind, entry.target or entry.executable) for entry in source.entries]
    assert shown == [
        ("lib", "directory", False),
        ("lib/a.py", "file", False),
        ("lib/b.py", "link", "a.py"),
        ("same", "file", True),
        ("serve", "file", True),
    ]
    assert source.program("./serve") == "./serve"
    assert source.program("python3") == "python3"
    for word, says in (("lib/a.py", "which cannot be run"), ("bin/serve", "has no bin/serve")):
        with pytest.raises(Refused, match=says):
            source.program(word)
    files.pack(source.read, source.entries, str(tmp_path / "packed"))
    assert files.entries_of(str(tmp_path / "packed")) == source.entries


@pytest.mark.parametrize(
    ("contents", "strip", "says"),
    [
        (b"", 0, "is no archive"),
        (b"hello" * 1000, 0, "is no archive"),
        (ARCHIVES["gz"][:60], 0, "is no archive"),
        (ARCHIVES["zip"][:200], 0, "is no archive"),
        (ARCHIVES["xz"][:60], 0, "is no archive"),
        (ARCHIVES["gz"], 9, "has no files to deploy below 9 directories"),
        (tar_of(("empty", None, 0o755)), 0, "has no files to deploy"),
        (tar_of(("../x", b"", 0o644)), 0, "holds '../x', which leads out of it"),
        (tar_of(("a/../../x", b"", 0o644)), 1, "which leads out of it"),
        (tar_of(("x", None, (tarfile.SYMTYPE, "/etc/passwd"))), 0, "a link to '/etc/passwd', which leads out of it"),
        (tar_of(("x", None, (tarfile.SYMTYPE, "../x"))), 0, "which leads out of it"),
        (tar_of(("a/x", b"", 0o644), ("a/y", None, (tarfile.SYMTYPE, "../a/x"))), 1, "which leads out of it"),
        (tar_of(("x", None, (tarfile.LNKTYPE, "/etc/passwd"))), 0, "holds '/etc/passwd', which leads out of it"),
        (tar_of(("x", None, (tarfile.FIFOTYPE, ""))), 0, "holds 'x', which is a device, pipe or socket"),
        (zipped(("../x", b"", 0o644)), 0, "holds '../x', which leads out of it"),
        (zipped(("x", b"/etc/passwd", stat.S_IFLNK | 0o777)), 0, "which leads out of it"),
    ],
)
def test_what_is_no_archive(tmp_path, stack, contents, strip, says):
    (tmp_path / "shop").write_bytes(contents)
    with pytest.raises(ScaleoutError) as error:
        sources.archive(str(tmp_path / "shop"), JUNK, strip, stack)
    assert says in error.value.message


def test_names_that_mean_something_in_layers_mean_nothing_in_archives(tmp_path, stack):
    (tmp_path / "shop").write_bytes(tar_of(("a", b"", 0o644), (".wh.a", b"", 0o644)))
    assert [entry.path for entry in sources.archive(str(tmp_path / "shop"), (), 0, stack).entries] == [".wh.a", "a"]


@pytest.mark.parametrize(
    ("installed", "asked", "known", "commands"),
    [
        (("docker", "podman"), "auto", True, ["docker image", "docker save"]),
        (("podman",), "auto", True, ["podman image", "podman save"]),
        (("docker", "podman"), "podman", False, ["podman image", "podman pull", "podman save"]),
    ],
)
def test_an_engine_saves(monkeypatch, stack, installed, asked, known, commands):
    called = []

    def run(command):
        called.append(" ".join(command[:2]))
        assert "shop:1.4" in command
        return (1 if command[1] == "image" and not known else 0), "", ""

    monkeypatch.setattr(engine.shutil, "which", lambda name: name in installed)
    path = engine.save("shop:1.4", asked, run, stack)
    assert called == commands
    stack.close()
    assert not pathlib.Path(path).parent.exists()


@pytest.mark.parametrize(
    ("reference", "asked", "installed", "says"),
    [
        ("--rm", "auto", ("docker",), "is no name of an image"),
        ("a b", "auto", ("docker",), "is no name of an image"),
        ("shop", "auto", (), "there is no docker nor podman on this machine"),
        ("shop", "podman", ("docker",), "there is no podman on this machine"),
        ("shop", "auto", ("docker",), "docker has no image shop and cannot pull it: denied, it is."),
    ],
)
def test_an_engine_that_does_not_save(monkeypatch, stack, reference, asked, installed, says):
    monkeypatch.setattr(engine.shutil, "which", lambda name: name in installed)
    with pytest.raises(ScaleoutError) as error:
        engine.save(reference, asked, lambda _command: (1, "", "denied,\nit is.\n"), stack)
    assert says in error.value.message


def in_force(root, noted=None, link="releases/abc"):
    """A release as a host has it."""
    place = root / "releases/abc"
    place.mkdir(parents=True)
    (place / "serve").write_text("#!/bin/sh\n")
    (place / "serve").chmod(0o755)
    (place / "now").symlink_to("serve")
    whole = digest(files.scan(str(place), (), unpacked=True))
    (root / "releases/.digest-abc").write_text(f"{noted or whole}\n")
    (root / "current").symlink_to(link)
    return whole


def test_s3_the_release_in_force(tmp_path):
    whole = in_force(tmp_path)
    # What a process leaves there is no part of it.
    (tmp_path / "releases/abc/__pycache__").mkdir()
    found = sources.release(str(tmp_path), ["__pycache__"])
    assert (found.release, digest(found.entries)) == ("abc", whole)
    packed = tmp_path / "packed.tar.gz"
    files.pack(found.read, found.entries, str(packed))
    assert digest(files.entries_of(str(packed))) == whole


@pytest.mark.parametrize(
    ("noted", "link", "code"),
    [("0" * 64, "releases/abc", "differs"), (None, "releases/gone", "no_release"), (None, "/etc", "no_release")],
)
def test_s3_a_release_that_cannot_be_handed_on(tmp_path, noted, link, code):
    in_force(tmp_path, noted, link)
    with pytest.raises(Refused) as refused:
        sources.release(str(tmp_path), ())
    assert refused.value.code == code
