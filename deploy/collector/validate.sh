#!/bin/sh
# Has a Collector read every configuration of this directory and of the repository's root, in the combinations that go together:
#
#     deploy/collector/validate.sh otelcol-contrib
set -eu

collector=$1
cd "$(dirname "$0")"
export OTELCOL_STORAGE_DIR="${OTELCOL_STORAGE_DIR:-$(mktemp -d)}"

validate() {
	set -- "$(printf -- ' --config %s' "$@")"
	# shellcheck disable=SC2086 # split on purpose
	if "$collector" validate $1; then
		echo "valid:$1"
	else
		echo "not valid:$1" >&2
		exit 1
	fi
}

for server in '' server-tls.yaml server-mtls.yaml 'server-tls.yaml server-bearer.yaml' 'server-mtls.yaml server-bearer.yaml'; do
	# shellcheck disable=SC2086
	validate ../../collector-config.yaml $server
	# shellcheck disable=SC2086
	validate gateway.yaml $server
	# shellcheck disable=SC2086
	validate agent.yaml gateways-static.yaml $server
done
validate ../../collector-config.yaml from-files.yaml
for gateways in gateways-static.yaml gateways-dns.yaml; do
	for client in '' client-tls.yaml client-mtls.yaml 'client-tls.yaml client-bearer.yaml' 'client-mtls.yaml client-bearer.yaml'; do
		# shellcheck disable=SC2086
		validate agent.yaml $gateways $client
	done
done
