#!/bin/sh
# Builds images under the names that docker-compose.yml and the Dockerfile use, from Debian's packages, the Go of this machine and
# the Collector of e2e/build.sh. For machines that cannot pull from a registry: elsewhere, skip this and test the real images.
#
# run.sh calls it with a daemon of its own, and says what must be installed.
set -eu

cd "$(dirname "$0")"
collector=$(../build.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

image_of() { sed -n "s|^ *image: *\($1:.*\)|\1|p" ../../docker-compose.yml; }

# Standard input is the image's root as a tar archive; the further arguments are lines of a Dockerfile.
import() {
	name=$1
	shift
	changes=""
	for change; do changes="$changes --change '$change'"; done
	eval "docker import $changes - '$name'" >/dev/null
	echo "$name"
}

debootstrap --variant=minbase --include=ca-certificates bookworm "$work/base" >"$work/debootstrap.log" 2>&1 ||
	{ tail "$work/debootstrap.log"; exit 1; }

# A program of Debian's on the base, with busybox for the health checks, run by the user of the official image.
mkdir -p "$work/base/usr/local/bin"
cp "$(command -v busybox)" "$work/base/usr/local/bin/wget"
for program in prometheus prometheus-alertmanager influxd influx; do
	cp "$(command -v $program)" "$work/base/usr/local/bin/"
done
mkdir -p "$work/base/usr/share/prometheus"
cp -r /usr/share/prometheus/alertmanager "$work/base/usr/share/prometheus/" # its built-in templates, which Debian keeps in files
install -d -o 65534 -g 65534 "$work/base/prometheus" "$work/base/alertmanager"
cat >"$work/base/entrypoint.sh" <<'EOF'
#!/bin/sh
# As the official image's: makes the database of INFLUXDB_DB at the first start.
influxd run &
if [ -n "${INFLUXDB_DB:-}" ]; then
	until influx -execute "CREATE DATABASE $INFLUXDB_DB" 2>/dev/null; do sleep 0.2; done
fi
trap 'kill -TERM $!' TERM INT
wait $!
wait $!
EOF
chmod 755 "$work/base/entrypoint.sh"
tar -C "$work/base" -cf "$work/image.tar" .
import "$(image_of prom/prometheus)" "USER 65534" 'ENTRYPOINT ["prometheus"]' <"$work/image.tar"
import "$(image_of prom/alertmanager)" "USER 65534" 'ENTRYPOINT ["prometheus-alertmanager"]' <"$work/image.tar"
import "$(image_of influxdb)" 'ENTRYPOINT ["/entrypoint.sh"]' <"$work/image.tar"

# The Collector alone, as its official image.
mkdir "$work/collector"
cp "$collector" "$work/collector/otelcol-contrib"
tar -C "$work/collector" -c . | import "$(image_of otel/opentelemetry-collector-contrib)" "USER 10001" 'ENTRYPOINT ["/otelcol-contrib"]'

# The build stage: the base, this machine's Go and the authorities that it trusts.
cp -r "$(go env GOROOT)" "$work/base/usr/local/go"
rm -rf "$work/base/etc/ssl/certs"
cp -rL /etc/ssl/certs "$work/base/etc/ssl/certs"
tar -C "$work/base" -c . | import "$(sed -n 's/^FROM \(golang:[^ ]*\).*/\1/p' ../../Dockerfile)" \
	"ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
