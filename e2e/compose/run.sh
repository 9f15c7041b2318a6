#!/usr/bin/env bash
# Runs docker-compose.yml for real and looks at every end of it: the test beside this script. `make compose` calls it.
#
# As root it starts a Docker daemon of its own, with its socket, images and containers below a temporary directory, builds stand-ins for
# the images that the files name (standins.sh), and ends and removes all of that. Otherwise, or with OTELNET_COMPOSE_DAEMON=running, it
# uses the daemon that runs, and the real images, which are pulled.
#
# It needs the ports that docker-compose.yml publishes, and as root
#     apt-get install --no-install-recommends docker.io docker-compose iptables iproute2 debootstrap busybox-static \
#         prometheus prometheus-alertmanager influxdb influxdb-client
set -euo pipefail
cd "$(dirname "$0")"

step() { printf -- '-- %s (%ds)\n' "$*" "$SECONDS"; }
die() {
  echo "compose: $*" >&2
  exit 1
}

if [ "$(id -u)" -ne 0 ] || [ "${OTELNET_COMPOSE_DAEMON:-own}" = running ]; then
  docker info >/dev/null 2>&1 || die "no Docker daemon can be used: start one, or run this as root on Linux, which starts its own"
  cd .. && exec go test -count=1 -timeout 30m -tags compose ./compose
fi

for program in dockerd ip docker docker-compose iptables debootstrap busybox prometheus prometheus-alertmanager influxd influx; do
  command -v "$program" >/dev/null || die "$program is not installed; the line that installs it is in $0"
done
for port in 3000 4317 4318 6060 8080 8086 9090 9093; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "port $port is taken, and docker-compose.yml publishes it"; fi
done

work=$(mktemp -d)
daemon=""
# What a daemon changes of the machine and does not undo.
iptables-save >"$work/iptables"
forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
bridge=no
[ ! -e /sys/class/net/docker0 ] || bridge=yes

restore_network() {
  for table in filter nat; do
    if ! grep -q "^\*$table" "$work/iptables"; then # empty before; a restore would not touch it
      [ "$table" = nat ] || iptables -P FORWARD ACCEPT
      iptables -t "$table" -F && iptables -t "$table" -X
    fi
  done
  iptables-restore <"$work/iptables"
  [ "$bridge" = yes ] || ip link delete docker0 2>/dev/null || true
  echo "$forwarding" >/proc/sys/net/ipv4/ip_forward
}

finish() {
  status=$?
  trap - EXIT INT TERM
  if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
    # Containers that a broken run left behind end with their daemon's, which live-restore would keep.
    docker ps -q 2>/dev/null | xargs -r docker kill >/dev/null 2>&1 || true
    kill "$daemon" 2>/dev/null || true
    for _ in $(seq 300); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.2; done
    if kill -0 "$daemon" 2>/dev/null; then
      echo "compose: the Docker daemon does not end, killed" >&2
      kill -9 "$daemon" || true
      status=1
    fi
  fi
  [ -z "$daemon" ] || restore_network || status=1
  if [ "$status" -ne 0 ] && [ -f "$work/dockerd.log" ]; then
    mkdir -p ../artifacts
    cp "$work/dockerd.log" ../artifacts/dockerd.log
    echo "compose: the daemon's log is e2e/artifacts/dockerd.log" >&2
  fi
  # What is still mounted below is the daemon's.
  awk -v dir="$work/" 'index($2, dir) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

step "start a Docker daemon"
dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" --host "unix://$work/docker.sock" \
  >"$work/dockerd.log" 2>&1 &
daemon=$!
export DOCKER_HOST="unix://$work/docker.sock" COMPOSE_HTTP_TIMEOUT=300
for _ in $(seq 300); do
  docker info >/dev/null 2>&1 && break
  kill -0 "$daemon" 2>/dev/null || { tail -20 "$work/dockerd.log" >&2; die "the Docker daemon ended at once; its last lines are above"; }
  sleep 0.2
done
docker info >/dev/null 2>&1 || { tail -20 "$work/dockerd.log" >&2; die "the Docker daemon is not ready within a minute; its last lines are above"; }

step "build the images' stand-ins"
TMPDIR=$work ./standins.sh

step "run docker-compose.yml"
(cd .. && go test -count=1 -timeout 30m -tags compose -v ./compose)
step "done"
