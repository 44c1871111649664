# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The servers that the tests of the reference API start for themselves, on loopback and on free ports."""

from __future__ import annotations
