# `make` alone tells what there is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := help

GO       ?= go
PREFIX   ?= /usr/local
FUZZTIME ?= 10m
COUNT    ?= 5
# Empty where there is no C compiler: make test RACE=
RACE     ?= -race

# A tag names a release; without one the build information speaks for itself.
VERSION  ?= $(shell git describe --tags --dirty 2>/dev/null)
LDFLAGS  := $(if $(VERSION),-X main.version=$(VERSION))
# Without the part of the command line library that writes manuals: 0.7 MB of the agent's memory.
TAGS     := urfave_cli_no_docs
# Go stops at a clone that git does not trust (another owner), so ask git first.
BUILDVCS := $(shell git rev-parse --verify --quiet HEAD >/dev/null 2>&1 && echo true || echo false)

# Built once a version, outside the tree: compiling golangci-lint takes minutes.
TOOLS         := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sshmint/tools
GOLANGCI      := v2.15.0
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI)-$(shell $(GO) env GOVERSION)/golangci-lint
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help
help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: deps
deps: ## install the programs that building, tests and the demo need
	@contrib/deps.sh

.PHONY: build
build: ## static binaries for this machine, in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) -buildvcs=$(BUILDVCS) -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: cross
cross: ## compile programs and tests for every system, without cgo
	@for os in linux darwin windows; do \
		echo "GOOS=$$os go vet ./..."; GOOS=$$os CGO_ENABLED=0 $(GO) vet ./...; \
	done

.PHONY: test
test: ## every test, with the race detector
	$(GO) test $(RACE) -timeout 15m ./...

.PHONY: race
race: ## the tests of what runs concurrently, COUNT times, in random order
	$(GO) test -race -timeout 40m -count $(COUNT) -shuffle on ./agent/... ./signer/... ./ca/...

.PHONY: lint
lint: cross $(GOLANGCI_LINT) ## static checks of Go and of the scripts
	$(GO) mod tidy -diff
	$(GOLANGCI_LINT) run ./...
	@if command -v shellcheck >/dev/null; then set -x; shellcheck .ci/run contrib/*.sh contrib/*/*.sh; \
	else echo "lint: there is no shellcheck here; the scripts are not checked"; fi

$(GOLANGCI_LINT):
	GOBIN=$(@D) CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)

.PHONY: vuln
vuln: ## known vulnerabilities in what is linked; asks the Go vulnerability database
	$(GO) run $(GOVULNCHECK) ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME, one after the other
	@GO=$(GO) FUZZTIME=$(FUZZTIME) contrib/fuzz.sh

.PHONY: bench
bench: build ## speed and memory beside ssh-agent, as a table; it informs and never fails
	$(GO) run ./internal/bench -bin bin

.PHONY: demo
demo: build ## an X.509 certificate becomes a plain ssh login, on loopback
	@contrib/deps.sh demo
	@contrib/demo/demo.sh

.PHONY: play
play: build ## the same, and then a shell to try things in
	@contrib/deps.sh demo
	@contrib/demo/demo.sh --play

.PHONY: install
install: ## copy what build made to DESTDIR/PREFIX/bin
	@test -x bin/sshmint || { echo "bin/ is empty: run make build first (as the user who builds)" >&2; exit 1; }
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 bin/* '$(DESTDIR)$(PREFIX)/bin'

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
