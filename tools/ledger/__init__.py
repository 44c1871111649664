# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A client of the API that remembers what it was told, and notices when it is told something else.

judge.py      what an answer is worth: right, failed or wrong. Pure.
sessions.py   users as the client knows them, and the next request of one of them. Pure.
http.py       one request on one connection, answered or not within a time; never a second try
load.py       sessions and requests at a constant rate, then every row once more
report.py     what happened, as numbers. Pure.
"""
