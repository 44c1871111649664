from __future__ import annotations
import math, time
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session, Endpoint
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import server, decide, statements
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.turn import Turn
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import Value
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.pauses import Limits
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid, Amount, zone
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.patience import Patience, Waited

def run(folder, port, split):
    s = Session(Endpoint(host=folder, port=port, user="postgres"))
    t0=time.time(); m0=time.monotonic(); trace=[]
    for name in ("run","rows"):
        def wrap(*a, _f=getattr(s,name), **k):
            b=time.monotonic()
            try: return _f(*a,**k)
            finally:
                if time.monotonic()-b>0.004: trace.append("%.3f+%.3f %s" % (b, time.monotonic()-b, (a[0] if isinstance(a[0],str) else a[0].as_string(s._connection))[:60].replace(chr(10)," ")))
        setattr(s,name,wrap)
    t = server.read(s, "public", "tasks"); decide.require_convertible(t, ["id"])
    ax = Axis("uuidv7"); g = Grid(ax, Amount.of("i", "month"), zone("z", "UTC"))
    largest = server.read_largest(s, t, "id", ax)
    t1=time.time()
    end = decide.end("tasks", g, int(time.time()*1e6), largest)
    lit = ax.literal(end)
    target = statements.Target(('RANGE ("id")',), "tasks_converted", (f"FOR VALUES FROM (MINVALUE) TO ('{lit}')",), ('"id" IS NOT NULL AND "id" < ', Value(lit)))
    w = Waited()
    server.Conversion(s, t, target, Turn(s, Patience(), w), Gate(s, Limits.of(None))).run()
    return f"largest {t1-t0:.2f} s, all {time.time()-t0:.2f}; {w.attempts} attempts {w.seconds:.2f} s\n" + "\n".join(trace)
