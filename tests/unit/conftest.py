# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for all unit tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Hypothesis fails an example after 200 ms and a test whose examples take long to make. A busy machine takes its time,
# and that is no property of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
