# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What callers may send and what they get. Written for pydantic 1.10 (Debian 12) and 2 (Debian 13) alike."""

from __future__ import annotations
