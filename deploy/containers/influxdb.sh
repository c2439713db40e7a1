#!/bin/bash
# Run once by InfluxDB's image, when it has made its bucket: an account for Grafana that can only read that, by the
# 1.x-compatible way that InfluxQL over /query has.
set -euo pipefail
influx v1 auth create --username grafana --password "$(</run/secrets/samples/influxdb-grafana-password)" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" --org "$DOCKER_INFLUXDB_INIT_ORG"
