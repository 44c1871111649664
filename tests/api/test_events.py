# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events on their way from the outbox to those whom they concern, each of them once."""

from __future__ import annotations

from api_lab.events import EventsLab
from api_lab.waiting import until


def test_event_becomes_one_notification(events: EventsLab, user_id: str) -> None:
    ids = events.happen(user_id)
    events.worker()
    events.until_notified(user_id, ids)
    until(lambda: events.outbox() == 0, 5, "the outbox is empty")
