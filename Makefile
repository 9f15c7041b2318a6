# What CI runs, one target each; `make` alone lists them.

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
PLATFORMS := linux/arm64 linux/386 darwin/arm64 windows/amd64 freebsd/amd64

.PHONY: help demo test lint cross wordsize config collector e2e compose oracle bench scale ci

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: ## run the demo: http://127.0.0.1:6060/
	$(GO) run ./cmd/demo-service

test: ## unit tests, with the race detector, in random order
	$(GO) test -race -shuffle=on ./...
	cd bench && $(GO) test ./...

lint: ## formatting, vet, staticcheck, tidy go.mod
	@if git grep -nE '^(<<<<<<<|>>>>>>>) '; then echo 'left over of a merge'; exit 1; fi
	@out=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	cd e2e && $(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) mod tidy -diff

cross: ## build and vet for every supported platform
	@set -e; for p in $(PLATFORMS); do echo "$$p"; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./...; done

wordsize: ## the instrumentation's tests as a 32-bit program, in which calls count the bytes; needs an x86 machine
	GOARCH=386 CGO_ENABLED=0 $(GO) test -shuffle=on ./internal/... ./otelnet/... ./runtimemetrics/...

collector: ## build the OpenTelemetry Collector that the end-to-end tests run
	e2e/build.sh

config: collector ## validate the Collector's configurations and the compose file
	deploy/collector/validate.sh "$$(e2e/build.sh)"
	docker-compose -f docker-compose.yml config --quiet

e2e: collector ## end to end: demo, Collector, Prometheus, InfluxDB, Alertmanager, a browser
	cd e2e && $(GO) test -race -count=1 -timeout=15m ./...

compose: collector ## docker-compose.yml for real, with a Docker daemon of its own if run as root
	e2e/compose/run.sh

bench: ## what everything costs, beside peers: one table, into docs/benchmarks.md too
	cd bench && $(GO) run . -doc ../docs/benchmarks.md
	cd oracle && $(GO) test -run '^$$' -bench ThousandRules -benchtime 5x

scale: collector ## points a second a Collector's core, bytes a point, an agent's cost by series, into docs/scale.md
	cd bench && $(GO) run ./scale -collector "$$(../e2e/build.sh)" -doc ../docs/scale.md

oracle: ## hold the alerts against Prometheus' own rule engine
	cd oracle && $(GO) vet ./... && $(GO) test -count=1 -timeout=15m ./...

ci: lint cross test wordsize config e2e compose oracle ## everything
