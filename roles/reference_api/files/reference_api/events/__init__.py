# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events as they travel: what one looks like (event.py) and the exchange and queues that carry it (topology.py).

Nothing here knows the databases, so that a consumer outside this application can be written with these two files alone.
"""

from __future__ import annotations
