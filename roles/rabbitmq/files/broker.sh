#!/bin/sh
# What the role asks of the broker on the host: sh -s <word> [argument ...].
etc=/etc/rabbitmq
files='rabbitmq.conf rabbitmq-env.conf erl_inetrc enabled_plugins'
log=/var/log/rabbitmq/rabbitmq-server.log
errors=/var/log/rabbitmq/rabbitmq-server.error.log

# The bytes that a container is limited to; nothing on a VM, where RabbitMQ sees its memory by itself.
limit() {
  path=$(sed -n 's/^[0-9]*:memory://p; s/^0:://p' /proc/1/cgroup | head -n 1)
  least=$(while :; do
    cat "/sys/fs/cgroup/memory$path/memory.limit_in_bytes" "/sys/fs/cgroup$path/memory.max"
    [ -n "$path" ] || break
    path=${path%/*}
  done 2>/dev/null | grep -x '[0-9][0-9]*' | sort -n | head -n 1)
  memory=$(awk '/^MemTotal:/ {printf "%.0f\n", $2 * 1024}' /proc/meminfo)
  if [ -n "$least" ] && [ "$least" -lt "$memory" ]; then echo "$least"; fi
}

# The port mapper answers everybody who reaches it. It has to listen on loopback only.
mapper_is_open() { ss -ltnH 'sport = :4369' | grep -qvE '(127.0.0.1|\[::1\]):4369'; }

lines_of() { cat "$1" 2>/dev/null | wc -l; }

# What the broker said since its logs had so many lines: why it did not start, in one line.
reason() {
  said=$(tail -n "+$(($1 + 1))" $log; tail -n "+$(($2 + 1))" $errors)
  {
    echo "$said" | sed -n 's/.*\[error\] <[0-9.]*>   - //p' | head -n 2 | paste -s -d ' ' | grep .
    echo "$said" |
      sed -n 's/.*could_not_start_listener[^"]*"\([^"]*\)"[^0-9]*\([0-9]*\).*\(eaddr[a-z]*\|eacces\).*/\1 port \2: \3/p'
    echo "$said" | grep 'unknown flag'
    echo "$said" | sed -n 's/.*\(Error during startup.*\)/\1/p'
    echo "journalctl -u rabbitmq-server and $log there say why"
  } | head -n 1
}

# restart <seconds> <plugin ...>
restart() {
  seconds=$1
  shift
  seen="$(lines_of $log) $(lines_of $errors)"
  systemctl daemon-reload
  if mapper_is_open; then
    systemctl stop rabbitmq-server epmd.socket epmd.service
    systemctl start epmd.socket
  fi
  systemctl reset-failed rabbitmq-server
  if ! timeout "$seconds" systemctl restart rabbitmq-server 2>/dev/null; then
    reason $seen >&2
    return 1
  fi
  # It starts without a plugin that it does not find.
  if ! said=$({ rabbitmqctl -q await_startup --timeout "$seconds" &&
    { [ $# = 0 ] || rabbitmq-plugins -q is_enabled "$@"; }; } 2>&1); then
    echo "$said" | grep -vx 'Error:' | head -n 1 >&2
    return 1
  fi
}

case $1 in
look)
  echo "limit=$(limit)"
  echo "host=$(hostname -s)"
  echo "active=$(systemctl is-active rabbitmq-server)"
  echo "enabled=$(systemctl is-enabled rabbitmq-server 2>/dev/null)"
  [ ! -x /usr/sbin/rabbitmqctl ] || echo installed=yes
  # Left by a run that broke off before it saw the broker serve.
  [ ! -e $etc/.previous ] || echo unfinished=yes
  if mapper_is_open; then echo mapper=open; fi
  ;;

restart)
  shift
  restart "$@" && rm -rf $etc/.previous
  ;;

# put_back <seconds>
put_back)
  [ -e $etc/.previous ] || exit 3
  for file in $files; do
    rm -f $etc/$file
    [ ! -e $etc/.previous/$file ] || cp -p $etc/.previous/$file $etc/
  done
  rm -rf $etc/.previous
  restart "$2"
  ;;
esac
