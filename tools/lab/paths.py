"""Where the lab keeps its things, all inside the checkout and git-ignored."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LAB = ROOT / ".lab"
COLLECTION_LINK = ROOT / ".ansible/collections/ansible_collections/scaleout/platform"
SECRETS = ROOT / "inventories/lab/group_vars/all/secrets.yml"
PHASES = LAB / "phases.json"
#: What the inventory plugin saw last (inventories/lab/members.yml).
MEMBERS = LAB / "members.json"
