"""The lab's base image."""

from __future__ import annotations

import os

from .paths import ROOT
from .shell import as_root, install, run, succeeds


def needs_root(release: str) -> bool:
    """Whether building the image would need root: it is not there, and the engine is not to pull one."""
    return not _pulled() and not succeeds("docker", "image", "inspect", f"scaleout-lab:{release}")


def _pulled() -> bool:
    """Whether the engine does it all, with LAB_IMAGE_SOURCE=pull, instead of mmdebstrap."""
    return os.environ.get("LAB_IMAGE_SOURCE") == "pull"


def ensure(release: str) -> str:
    """Build the image of a Debian release unless it is there and its recipe did not change.

    :returns: what was done, in a few words.
    """
    root = () if _pulled() else as_root()
    if not _pulled() and not succeeds("mmdebstrap", "--version"):
        install("mmdebstrap")
    done = run(*root, str(ROOT / "tools/lab/image.sh"), release)
    return "is there" if "up to date" in done.stdout else "built"
