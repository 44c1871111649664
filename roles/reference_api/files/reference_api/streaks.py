# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Days in a row. What a check-in means for its habit is worked out in the database, under the habit's lock.

A habit keeps the length of its last run of days and the day on which that ended, from which a reader tells the current
streak without counting days. Whether a run still counts depends on the day of the reader, so it is not stored.
"""

from __future__ import annotations

from datetime import date, timedelta

#: The check-in itself: nothing where the day is checked in already, or where there is no such habit.
CHECK_IN = """
    INSERT INTO check_ins (user_id, habit_id, day, id)
    SELECT user_id, id, %(day)s, %(check_in_id)s FROM habits WHERE user_id = %(user_id)s AND id = %(id)s
    ON CONFLICT DO NOTHING
"""
# In a run, the day less its rank is the same for each day.
#: Brings the habit up to date, and returns it with the day, the run that the day is in, and whether the day is new.
COUNT = """
    WITH runs AS (
        SELECT count(*)::integer AS length, min(day) AS first, max(day) AS last
        FROM (
            SELECT day, day - (row_number() OVER (ORDER BY day))::integer AS run
            FROM check_ins WHERE user_id = %(user_id)s AND habit_id = %(id)s
        ) AS days
        GROUP BY run
    )
    UPDATE habits SET
        best_streak = (SELECT max(length) FROM runs),
        last_streak = (SELECT length FROM runs ORDER BY last DESC LIMIT 1),
        last_day = (SELECT max(last) FROM runs)
    FROM check_ins
    WHERE habits.user_id = %(user_id)s AND habits.id = %(id)s
        AND check_ins.user_id = %(user_id)s AND check_ins.habit_id = %(id)s AND check_ins.day = %(day)s
    RETURNING habits.id, habits.user_id, habits.name, habits.best_streak, habits.last_streak, habits.last_day,
        check_ins.day, check_ins.created_at AS checked_in_at, check_ins.id = %(check_in_id)s AS is_new,
        (SELECT length FROM runs WHERE %(day)s BETWEEN first AND last) AS streak
"""


def current(last_streak: int, last_day: date | None, today: date) -> int:
    """The streak that can still be continued: its last day is yesterday, today, or tomorrow for whom that has begun."""
    return last_streak if last_day is not None and last_day >= today - timedelta(days=1) else 0
