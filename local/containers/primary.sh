#!/bin/bash
# Runs once, on an empty primary: lets two replicas copy and follow it.
set -euo pipefail

psql --set=ON_ERROR_STOP=1 --set=password="$POSTGRES_PASSWORD" --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
create role replicator login replication password :'password';
select pg_create_physical_replication_slot('replica_1'), pg_create_physical_replication_slot('replica_2');
SQL
# The image's own rule for all databases does not cover replication.
echo 'host replication replicator all scram-sha-256' >>"$PGDATA/pg_hba.conf"
