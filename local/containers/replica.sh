#!/bin/bash
# Copies the primary once, then follows it by a slot of its own.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
  install --directory --owner=postgres --group=postgres --mode=0700 "$PGDATA"
  exec gosu postgres "$0" "$@"
fi

# Written last: without it, a copy was never finished.
if [ ! -f "$PGDATA/standby.signal" ]; then
  find "$PGDATA" -mindepth 1 -delete
  pg_basebackup --pgdata="$PGDATA" --slot="$REPLICATION_SLOT" --write-recovery-conf --checkpoint=fast
fi
exec "$@"
