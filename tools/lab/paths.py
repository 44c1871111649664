"""Where the lab keeps its things, all inside the checkout and git-ignored."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LAB = ROOT / ".lab"
COLLECTION_LINK = ROOT / ".ansible/collections/ansible_collections/scaleout/platform"
PHASES = LAB / "phases.json"
KNOWN_HOSTS = LAB / "known_hosts"
