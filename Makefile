# Everything here needs Go and make only, unless a target says otherwise.

.DEFAULT_GOAL := help
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LINT := bin/tools/golangci-lint run --allow-parallel-runners --config scripts/golangci.yaml
GOFILES = $(shell git ls-files '*.go')
# The folder testdata holds a package that ./... passes over.
PACKAGES := ./... ./testdata

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/lcp
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/lcp ./cmd/lcp

demo: build ## protect the sample publications, license them, open them again
	bin/lcp demo

test: ## run all tests, and say which were skipped for want of something
	go run ./scripts/testreport $(TESTFLAGS) ./...

race: ## run the tests with the race detector (needs a C compiler)
	go run ./scripts/testreport $(TESTFLAGS) -race -short ./...

readers: ## open what lcp makes with the code of a reading system (needs node, npm)
	cd test/readers/_js && npm ci --ignore-scripts --no-audit --no-fund
	go run ./scripts/testreport -count=1 ./test/readers

browser: ## open pages of lcp serve in a browser (needs Chromium, node, npm)
	cd test/browser/_js && npm ci --ignore-scripts --no-audit --no-fund
	go run ./scripts/testreport -count=1 ./test/browser

bench: build ## measure lcp encrypt beside openssl and sha256sum (needs both, 2 GB of disk)
	go run ./scripts/bench $(BENCH)

bench-serve: build ## measure lcp serve beside the machine's own rates (needs some minutes; openssl, PostgreSQL if there)
	go run ./scripts/bench-serve $(BENCHSERVE)

bench-sessions: build ## measure how lcp serve takes reading sessions, and how long reports take
	go run ./scripts/bench-sessions $(BENCHSESSIONS)

fuzz: ## run every fuzz target for a while (FUZZTIME=30s)
	scripts/fuzz.sh $(FUZZTIME)

fmt: bin/tools/built ## format all Go files
	bin/tools/gofumpt -w $(GOFILES)

vet: ## run go vet
	go vet $(PACKAGES)

lint: bin/tools/built vet ## check formatting, vet, run the linters
	@unformatted=$$(bin/tools/gofumpt -l $(GOFILES)); if [ -n "$$unformatted" ]; then \
		echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi
	$(LINT) $(PACKAGES)

vuln: bin/tools/built ## look for known vulnerabilities (needs the network)
	bin/tools/govulncheck ./...

cross: ## build for the other systems that releases are made for
	scripts/cross.sh

samples: ## build the sample publications of testdata again
	go run ./scripts/samples

clean: ## delete what was built
	rm -rf bin dist lcp-demo

# Linters are pinned in a module of their own, so that no one who uses our
# packages inherits them.
bin/tools/built: scripts/tools/go.mod scripts/tools/go.sum
	mkdir -p $(@D)
	cd scripts/tools && go build -o ../../$(@D)/ tool
	touch $@

.PHONY: help build demo test race readers browser bench bench-serve bench-sessions fuzz fmt vet lint vuln cross samples clean
