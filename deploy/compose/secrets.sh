#!/bin/sh
# Writes random secrets beside this script, for compose.yaml: sh deploy/compose/secrets.sh [folder]
# What is there already stays: a password that PostgreSQL knows cannot be changed here.
set -eu
folder=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
# A file that its container's user can read, in a folder that only its owner can enter.
write() {
  if [ -e "$folder/$1" ]; then echo "$folder/$1 is there already: it stays" >&2; return; fi
  printf '%s\n' "$2" > "$folder/$1"
  chmod 0444 "$folder/$1"
}

[ -e "$folder/postgres-password" ] || write postgres-password "$(random)"
[ -e "$folder/redis-password" ] || write redis-password "requirepass $(random)"
postgres=$(cat "$folder/postgres-password")
redis=$(sed 's/^requirepass //' "$folder/redis-password")
write database-url "postgres://plimsoll:$postgres@postgres:5432/plimsoll"
write redis-url "redis://:$redis@redis-cache:6379"
write jobs-url "redis://:$redis@redis-jobs:6379"
write cache-secret "$(random)"
write keys "# name scopes secret (docs/keys.md)
ops manage $(random)
app classify $(random)
prometheus read $(random)"
echo "the secrets are in $folder"
