"""The lab's base image."""

from __future__ import annotations

import os

from .paths import ROOT
from .shell import as_root, install, run, succeeds


def ensure(release: str = "bookworm") -> str:
    """Build the image of a Debian release unless it is there and its recipe did not change.

    :returns: what was done, in a few words.
    """
    if not succeeds("mmdebstrap", "--version") and os.environ.get("LAB_IMAGE_SOURCE") != "pull":
        install("mmdebstrap")
    root = as_root() if os.environ.get("LAB_IMAGE_SOURCE") != "pull" else ()
    done = run(*root, str(ROOT / "tools/lab/image.sh"), release)
    return "is there" if "up to date" in done.stdout else "built"
