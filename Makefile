# `make help` lists what there is. `make run` and `make test` need Go, make and
# git; no C compiler, no database, no code generator.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS   := -s -w -X main.version=$(VERSION)
# The tools are pinned in modules of their own, so that the program's own
# module stays small. Each is compiled once (buf takes some minutes) and cached. (GNU make has a LINT of its own.)
BUF       ?= $(GO) tool -modfile=tools/buf/go.mod buf
GOLANGCI  ?= $(GO) tool -modfile=tools/lint/go.mod golangci-lint
GRPCURL   ?= $(GO) tool -modfile=tools/grpcurl/go.mod grpcurl
FUZZTIME  ?= 30s
TORTURE   ?= 3m
URL       ?= http://127.0.0.1:8080/scim/v2

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and serve on the embedded database in ./data
	bin/muster serve

.PHONY: build
build: ## Build bin/muster, without a C compiler
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/muster ./cmd/muster

.PHONY: test
# Its longest part begins first.
test: ## Run all tests; PostgreSQL too where its programs are found
	$(GO) test -timeout 20m ./test ./...
	@tools/untested

.PHONY: screenshots
screenshots: ## Take a picture of each page of the console, light and dark, narrow and wide, into bin/screenshots (needs Chromium)
	@mkdir -p bin/screenshots
	MUSTER_TEST_BROWSER_REQUIRED=1 MUSTER_SCREENSHOTS=$(CURDIR)/bin/screenshots $(GO) test ./console -count=1 -run TestPages

# SQLite is C that became Go, and takes its memory from the system, where the detector
# does not look; its driver, which shares values with us, is Go and looked at. Vet is
# part of make test and of make lint. The flags are in the environment for what tests
# build themselves.
.PHONY: race
race: export GOFLAGS := $(shell $(GO) env GOFLAGS 2>/dev/null) -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false
race: ## Run all tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -vet=off -timeout 20m ./test ./...

.PHONY: lint
lint: ## Check the code with golangci-lint
	$(GOLANGCI) run ./...

.PHONY: generate
generate: ## Write gen/, ent/ and reference/contract.binpb anew from proto/ and ent/schema/
	$(BUF) format -w
	$(BUF) generate
	$(BUF) build proto --exclude-imports -o reference/contract.binpb
	$(GO) generate ./ent
	$(GO) mod tidy

.PHONY: verify
verify: ## Check the contract, and that generated code and modules are up to date
	$(GO) mod tidy -diff
	$(GO) mod verify
	$(BUF) format --diff --exit-code
	$(BUF) lint
	BUF='$(BUF)' tools/breaking
	MAKE='$(MAKE)' tools/drift

.PHONY: bench
bench: build ## Measure both databases next to their ceilings (some minutes; make bench ARGS=-quick for one)
	$(GO) run ./test/bench $(ARGS)

.PHONY: torture
torture: ## Break servers and connections under writers and watchers for TORTURE (3m), and what else takes its time
	MUSTER_TEST_TORTURE=$(TORTURE) $(GO) test ./test -count=1 -v -timeout 2h -run 'TestTorture|TestWatchers_ThatDoNotRead|TestMirror_Large'

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) tools/fuzz

.PHONY: simulate
simulate: build ## Play CyberArk Identity against URL with TOKEN
	@MUSTER_TOKEN='$(TOKEN)' bin/muster simulate cyberark --url $(URL)

.PHONY: acceptance
acceptance: build ## Start the built program on both databases and play CyberArk Identity twice, authorized in each of its ways
	$(GO) run ./test/acceptance test/acceptance/cyberark

.PHONY: conformance
conformance: build ## Start the built program on both databases and check it against the RFCs (needs Python with venv)
	$(GO) run ./test/acceptance 'bin/muster tenant set default --profile strict' 'bin/muster conformance' test/clients/run

.PHONY: grpcurl
grpcurl: ## Build bin/grpcurl, for the session in the README
	$(GO) build -modfile=tools/grpcurl/go.mod -o bin/grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl
