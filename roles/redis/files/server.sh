#!/bin/sh
# What the role asks of the server on the host: sh -s <word> [argument ...]. The password comes from the file that the
# server runs with, so it is on no command line and in no answer.
config=/etc/redis/redis.conf
previous=$config.previous

# The last value of a directive in a file, without its quotes.
value_of() { sed -n "s/^$2  *//p" "$1" | tail -n 1 | sed 's/^"\(.*\)"$/\1/; s/\\\(.\)/\1/g'; }

# Asks the server as a file describes it.
ask() {
  file=$1
  shift
  host=$(value_of "$file" bind | sed 's/^-//; s/ .*//; s/^[*]$/127.0.0.1/')
  port=$(value_of "$file" port)
  password=$(value_of "$file" requirepass)
  if [ -n "$password" ]; then export REDISCLI_AUTH="$password"; else unset REDISCLI_AUTH; fi
  timeout 5 redis-cli -h "${host:-127.0.0.1}" -p "${port:-6379}" "$@" 2>&1
}

# The bytes that the host has; less where a container has a limit.
memory() {
  {
    awk '/^MemTotal:/ {printf "%.0f\n", $2 * 1024}' /proc/meminfo
    path=$(sed -n 's/^[0-9]*:memory://p; s/^0:://p' /proc/1/cgroup | head -n 1)
    while :; do
      cat "/sys/fs/cgroup/memory$path/memory.limit_in_bytes" "/sys/fs/cgroup$path/memory.max"
      [ -n "$path" ] || break
      path=${path%/*}
    done
  } 2>/dev/null | grep -x '[0-9][0-9]*' | sort -n | head -n 1
}

case $1 in
look)
  echo "memory=$(memory)"
  echo "active=$(systemctl is-active redis-server)"
  echo "enabled=$(systemctl is-enabled redis-server 2>/dev/null)"
  [ ! -x /usr/bin/redis-server ] || echo installed=yes
  [ ! -e $previous ] || echo previous=yes
  [ "$(cat /proc/sys/vm/overcommit_memory)" = 1 ] || [ ! -w /proc/sys/vm/overcommit_memory ] || echo overcommit=refused
  ;;

# The present server is about to be restarted with another file: hand over <appendonly> <save> <seconds>.
hand_over)
  # systemd refuses to start what failed too often in the last seconds.
  systemctl reset-failed redis-server
  persists=$2$3
  [ "$persists" != no ] || exit 0
  for file in $previous $config; do
    [ "$(ask "$file" PING)" = PONG ] && running=$file && break
  done
  if [ -z "$running" ]; then
    # What is on the disk is read the same way again.
    [ "$(value_of $previous appendonly)" != "$2" ] || exit 0
    [ -e /var/lib/redis/dump.rdb ] || [ -e /var/lib/redis/appendonlydir ] || exit 0
    echo "the server does not answer, so it cannot hand over what is in /var/lib/redis; start it or move that away" >&2
    exit 1
  fi
  if [ "$2$(ask "$running" CONFIG GET appendonly | tail -n 1)" = yesno ]; then
    # With the append-only file the server reads nothing else at its start: that file has to have all data.
    echo began
    ask "$running" CONFIG SET appendonly yes >/dev/null
    end=$(($(date +%s) + $4))
    until ask "$running" INFO persistence | tr -d '\r' | awk -F : '{is[$1] = $2} END {exit !(is["aof_enabled"] == 1 &&
        is["aof_rewrite_in_progress"] == 0 && is["aof_rewrite_scheduled"] == 0 && is["aof_last_bgrewrite_status"] == "ok")}'
    do
      if [ "$(date +%s)" -ge "$end" ]; then
        ask "$running" CONFIG SET appendonly no >/dev/null
        echo "the append-only file was not written within $4 s; redis_health_timeout may be too short" >&2
        exit 1
      fi
      sleep 0.2
    done
  elif [ "$2" = no ]; then
    # Without it the server reads the snapshot: it takes one when it stops, if it takes any at all.
    ask "$running" CONFIG SET save "$3" | grep -qx OK
  fi
  ;;

# Does the server serve? <save>: what it does not keep must not come back at the next start.
gate)
  [ "$(ask $config PING)" = PONG ] || exit 1
  ask $config INFO persistence | tr -d '\r' | grep -qx loading:0 || exit 1
  if [ -z "$2" ] && [ -e /var/lib/redis/dump.rdb ]; then mv /var/lib/redis/dump.rdb /var/lib/redis/dump.rdb.previous; fi
  rm -f $previous
  ;;

# It does not: say why, and run it with the file of before. <stopped|running> <began>: whether the server was restarted,
# and whether the append-only file has the data by now.
put_back)
  journalctl --unit=redis-server --since=-10min --lines=100 --output=cat --no-pager |
    grep -iE "can't|cannot|could not|denied|fatal|out of memory" | grep -v '^Failed to start' |
    tail -n 1 | sed 's/^[0-9]*:[A-Z] .* [#*] //'
  [ -e $previous ] || exit 3
  mv $previous $config
  [ "$3" != began ] || echo 'appendonly yes' >>$config
  [ "$2" = stopped ] || exit 0
  systemctl reset-failed redis-server
  systemctl restart redis-server
  ;;
esac
