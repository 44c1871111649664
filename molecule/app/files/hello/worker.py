# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A worker that waits, dies, takes all the processor's time, or all the memory when the file "eat" tells it to."""

from __future__ import annotations

import os
import pathlib
import sys
import time

task = sys.argv[1]
print(f"{os.environ['GREETING']}, I {task}", flush=True)
if task == "die":
    sys.exit("nothing to live for")
while task == "burn":
    pass
signal = pathlib.Path(os.environ["STATE_DIRECTORY"], "eat")
eaten = []
while True:
    if task == "eat" and signal.exists():
        signal.unlink()
        while True:
            eaten.append(bytearray(1 << 20))
    time.sleep(0.2)
