# Prints "fresh index" when apt's index is there and younger than the minutes that the first argument names,
# then the state and name of each package.
lists=/var/lib/apt/lists
if [ -n "$(find "$lists" -maxdepth 0 -mmin "-$1")" ] && ls "$lists"/*_Packages* > /dev/null 2>&1; then
  echo fresh index
fi
exec dpkg-query --show --showformat='${db:Status-Status} ${Package}\n'
