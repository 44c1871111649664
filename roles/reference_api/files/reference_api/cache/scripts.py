# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens inside Redis. Each script is one step that nothing can come between.

A hash holds what is kept of one kind of rows of one user:

    epoch        random; a lease is the epoch at the time of the miss. Each write's begin and end set another
    pending      the writes that are under way, with the time of their begin: ``token=milliseconds;``
    fence        the position of the last write, with the version of the map: ``version lsn``
    since        when the last write ended, or the hash was made, in milliseconds
    generation   what it was when the hash was made (see the package)
    e:<name>     an entry: ``expires version lsn body``

When Redis drops a hash because memory runs out, the epoch is gone too, so a fill that is under way then is refused.

The clock is always that of Redis. Positions in the log are up to 2**53 exact in Lua, which is 8 PiB of log.
"""

from __future__ import annotations

#: Seconds for which a write counts as under way that never ended: its outcome is unknown, or its process died.
PENDING = 30
#: The most fields of a hash; further entries are not kept until a write or its age empties it.
MOST = 256

_COMMON = """
local hash, generation = KEYS[1], redis.call('GET', KEYS[2]) or ''
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function number(value)
  return string.format('%.0f', value)
end

-- The lease in force, if what is there is of this generation.
local function lease()
  local epoch, made_in = unpack(redis.call('HMGET', hash, 'epoch', 'generation'))
  return made_in == generation and epoch
end

local function pending(without)
  local kept = ''
  for token, began in string.gmatch(redis.call('HGET', hash, 'pending') or '', '(%w+)=(%d+);') do
    if token ~= without and now - began < PENDING then
      kept = kept .. token .. '=' .. began .. ';'
    end
  end
  return kept
end

-- Forget all entries and take all leases away. A fence of another generation says nothing of the writes since.
local function renew(epoch, writes)
  local fence, since = false, false
  if lease() then
    fence, since = unpack(redis.call('HMGET', hash, 'fence', 'since'))
  end
  redis.call('DEL', hash)
  redis.call(
    'HSET', hash, 'epoch', epoch, 'pending', writes, 'generation', generation, 'since', since or number(now)
  )
  if fence then
    redis.call('HSET', hash, 'fence', fence)
  end
  redis.call('PEXPIRE', hash, LIFETIME)
end

local function fence()
  return string.match(redis.call('HGET', hash, 'fence') or '', '^(%d+) (%d+)$')
end
"""

# name, version, need, epoch for a new hash -> {'hit', body} or {'miss', lease}. While a write is under way no lease is
# worth anything, so it is the empty text.
_GET = """
local name, version, need, fresh = unpack(ARGV)
local epoch, writes = lease(), pending()
if epoch and writes == '' then
  local entry = redis.call('HGET', hash, 'e:' .. name) or ''
  local expires, of, lsn, body = string.match(entry, '^(%d+) (%d+) (%d+) (.*)$')
  if expires and now < tonumber(expires) and of == version and tonumber(lsn) >= tonumber(need) then
    return {'hit', body}
  end
end
if not epoch then
  renew(fresh, writes)
  epoch = fresh
end
return {'miss', writes == '' and epoch or ''}
"""

# name, lease, version, lsn, source, body -> whether it is kept. A row of a replica that shows the last write is as good
# as one of the primary. Where the last write's position is not known, but it was long ago, every replica in use shows
# it; if it may have been just now, the entry lives no longer than that takes.
_FILL = """
local name, given, version, lsn, source, body = unpack(ARGV)
if lease() ~= given or pending() ~= '' or redis.call('HLEN', hash) >= MOST then
  return 0
end
local life = TTL
if source == 'replica' then
  local of, at = fence()
  if of == version then
    if tonumber(lsn) < tonumber(at) then
      return 0
    end
  elseif now - redis.call('HGET', hash, 'since') < SETTLED then
    life = math.min(TTL, SETTLED)
  end
end
redis.call('HSET', hash, 'e:' .. name, number(now + life) .. ' ' .. version .. ' ' .. lsn .. ' ' .. body)
redis.call('PEXPIRE', hash, LIFETIME)
return 1
"""

# token, epoch
_BEGIN = """
local token, epoch = unpack(ARGV)
renew(epoch, pending() .. token .. '=' .. number(now) .. ';')
return 1
"""

# token, epoch, version, lsn (empty: nothing was written)
_END = """
local token, epoch, version, lsn = unpack(ARGV)
renew(epoch, pending(token))
if lsn ~= '' then
  local of, at = fence()
  if of ~= version or tonumber(at) < tonumber(lsn) then
    redis.call('HSET', hash, 'fence', version .. ' ' .. lsn)
  end
  redis.call('HSET', hash, 'since', number(now))
end
return 1
"""


def scripts(ttl: float, settled: float) -> dict[str, str]:
    """Return the scripts by name.

    :param ttl: seconds that an entry is served.
    :param settled: seconds after which every replica in use shows a write.
    """
    # A write that is under way must not be forgotten with the entries.
    constants = {"TTL": ttl, "LIFETIME": max(ttl, PENDING, settled), "PENDING": PENDING, "SETTLED": settled}
    lines = [f"local {name} = {round(seconds * 1000)}" for name, seconds in constants.items()]
    common = "\n".join([*lines, f"local MOST = {MOST}", _COMMON])
    return {name: common + text for name, text in (("get", _GET), ("fill", _FILL), ("begin", _BEGIN), ("end", _END))}
