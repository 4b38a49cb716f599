#!/bin/sh
# Prepares Temporal: `schema` before its server starts, `namespace` after. Both may run again.
set -eu

sql_tool() {
  temporal-sql-tool --plugin postgres12 --endpoint primary --port 5432 --user registrar --database "$@"
}

prepare_schema() {
  sql_tool "$1" create-database
  sql_tool "$1" setup-schema --version 0.0
  sql_tool "$1" update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$2/versioned"
}

case "$1" in
  schema)
    prepare_schema temporal temporal
    prepare_schema temporal_visibility visibility
    ;;
  namespace)
    temporal operator cluster health
    temporal operator namespace describe --namespace default ||
      temporal operator namespace create --namespace default --retention 30d
    # The server hears of a new namespace some seconds later.
    attempts=0
    until temporal operator search-attribute create --namespace default \
      --name StudentId --type Keyword --name SectionId --type KeywordList --name Outcome --type Keyword; do
      attempts=$((attempts + 1))
      [ "$attempts" -lt 30 ]
      sleep 1
    done
    ;;
esac
