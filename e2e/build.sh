#!/bin/sh
# Builds the Collector that the end-to-end tests run, and prints where it is. The first build takes about four minutes of CPU,
# longer than a test run may, so it is a step of its own; nothing is built again until collector/ changes.
set -eu

cd "$(dirname "$0")/collector"
key=$(cat go.mod go.sum main.go | sha256sum | cut -c1-12)
binary=$(cd .. && pwd)/.cache/collector-$key

if [ ! -x "$binary" ]; then
	mkdir -p ../.cache
	CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags='-s -w' -o "$binary.new" .
	mv "$binary.new" "$binary"
fi
echo "$binary"
