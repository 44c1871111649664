# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write what `docker save` would write of a small image: make_image.py BUSYBOX IMAGE.tar NAME."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import sys
import tarfile

SERVE = b"""#!/bin/sh
echo "kept" > /data/kept
mkdir -p /tmp/www
echo ok > /tmp/www/healthz
echo "$GREETING from $IMAGE, $(id -u > /dev/null && ls / | wc -l) names below its root" > /tmp/www/index.html
exec httpd -f -p "$PORT" -h /tmp/www
"""


def archive(*members: tuple) -> bytes:
    """Make a tar of (name, contents), where a directory has none and a link has (type, target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, contents in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if contents is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(contents, tuple):
                info.type, info.linkname = contents
            else:
                info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents) if info.size else None)
    return stream.getvalue()


busybox = pathlib.Path(sys.argv[1]).read_bytes()
applets = ("sh", "httpd", "mkdir", "id", "ls", "wc", "sleep", "cat")
layers = [
    archive(
        ("bin", None),
        ("bin/busybox", busybox),
        *((f"bin/{applet}", (tarfile.SYMTYPE, "/bin/busybox")) for applet in applets),
        ("bin/surplus", busybox),
        ("bin/again", (tarfile.LNKTYPE, "bin/busybox")),
    ),
    archive(("app", None), ("app/serve", SERVE), ("bin/.wh.surplus", b"")),
]
config = {
    "os": "linux",
    "architecture": "amd64",
    "config": {
        "Env": ["PATH=/bin", "IMAGE=an image", "GREETING=none"],
        "Entrypoint": ["/bin/sh"],
        "Cmd": ["/app/serve"],
        "WorkingDir": "/app",
        "Volumes": {"/data": {}},
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
}
names = [f"{number}/layer.tar" for number in range(len(layers))]
manifest = [{"Config": "config.json", "RepoTags": [sys.argv[3]], "Layers": names}]
pathlib.Path(sys.argv[2]).write_bytes(
    archive(
        ("config.json", json.dumps(config).encode()),
        *((f"{number}", None) for number in range(len(layers))),
        *zip(names, layers, strict=True),
        ("manifest.json", json.dumps(manifest).encode()),
    )
)
