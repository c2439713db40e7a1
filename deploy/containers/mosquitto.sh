#!/bin/sh
# Runs Mosquitto on the folder that `stimfleet broker --configure-only` wrote, and has it obey the ACL whenever that is
# written anew: a device that was struck off is without rights within two seconds. On one host with the fleet service
# `stimfleet provision` tells the broker itself; from another container it cannot signal it, and leaves a new file.
#
#   mosquitto.sh [FOLDER]        (default: /site/broker)
set -eu
folder=${1:-/site/broker}
acl=$folder/acl

# It is renamed into its place, so a new one is another file.
stamp() { stat -c '%i %Y %s' "$acl"; }
# Mosquitto would die of a hang-up that it does not catch yet: SigCgt of proc(5), whose lowest bit is SIGHUP.
catches() {
  case $(sed -n 's/^SigCgt:.*\(.\)$/\1/p' "/proc/$broker/status") in
    [13579bdf]) return 0 ;;
    *) return 1 ;;
  esac
}

known=$(stamp)
mosquitto -c "$folder/mosquitto.conf" &
broker=$!
trap 'kill -TERM "$broker"' TERM INT

while kill -0 "$broker" 2>/dev/null; do
  if now=$(stamp) && [ "$now" != "$known" ] && catches; then
    kill -HUP "$broker"
    known=$now
    echo "the broker obeys the new list"
  fi
  sleep 1
done
status=0
wait "$broker" || status=$?
exit "$status"
