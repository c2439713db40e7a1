#!/bin/sh
# Starts Alertmanager with whom to tell from the environment: Alertmanager itself reads no variables.
set -eu
# In a replacement `&` and `\` mean something, and `|` ends it.
plain() { printf '%s' "$1" | sed 's/[&\\|]/\\&/g'; }
sed -e "s|http://engineers.invalid/|$(plain "$ENGINEERS_URL")|" \
  -e "s|http://dead-mans-switch.invalid/|$(plain "$DEAD_MANS_SWITCH_URL")|" \
  "${TEMPLATE:-/etc/alertmanager/template.yml}" >"${CONFIGURATION:-/tmp/alertmanager.yml}"
exec "${ALERTMANAGER:-/bin/alertmanager}" "--config.file=${CONFIGURATION:-/tmp/alertmanager.yml}" "$@"
