# What each target does is in CONTRIBUTING.md. All of them need Go and nothing else,
# but for what they install themselves and say so.

GO      ?= go
BIN     := bin
LDFLAGS := -s -w
# Without its debugging page gRPC, which sends traces, is some megabytes smaller.
# Without SQLite, which only caregate policy verify needs, by some more: a sidecar
# executes no SQL. go run and go install have all of it.
TAGS    := grpcnotrace,nosqlite
# Tools are built from the module proxy at these versions, into bin/tools.
GOLANGCI_LINT := v2.15.0
GOVULNCHECK   := v1.9.0

.PHONY: run
run: ## serve the example organisation from an embedded store
	$(GO) run ./cmd/caregate serve

.PHONY: build
build: ## build bin/caregate as the sidecar is: static, stripped, and without policy verify
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $(BIN)/caregate ./cmd/caregate

# The tests of the packages in ALONE do one thing at a time, or look at another process: the race detector, with
# which they take several times as long, watches only those that say Concurrently.
ALONE   := internal/acceptance internal/policy internal/policy/bounded internal/policy/machine internal/verify
WATCHED = ./internal/directory $(filter-out %/internal/directory $(addprefix %/,$(ALONE)),$(shell $(GO) list ./...)) # the longest first
# The packages whose tests try random cases: make test tries a part of them, as internal/soak says, and make soak all.
SOAKED  := $(addprefix ./internal/,directory policy/... verify review filter admin httpapi secrecy)
# The interpreter of the embedded store runs one script at a time, and takes six times as long when it is watched.
RACE    := -race -gcflags=github.com/yuin/gopher-lua/...=-race=false

.PHONY: test
test: redis-server databases ## run all tests, Go's with a part of the random cases, and the policy's
	$(GO) test $(RACE) -timeout 20m $(WATCHED)
	$(GO) test $(RACE) -timeout 20m -run Concurrently ./internal/policy ./internal/policy/machine
	$(GO) test -timeout 20m $(addprefix ./,$(ALONE))
	$(GO) run ./cmd/caregate policy test
	$(GO) run ./cmd/caregate policy verify --policies policies --data data

.PHONY: soak
soak: redis-server databases ## the properties with all of their cases, without the race detector
	CAREGATE_TEST_SOAK=1 $(GO) test -timeout 30m $(SOAKED)
	CAREGATE_TEST_SOAK=1 $(GO) test -timeout 30m ./internal/acceptance -run EqualTheRules\|EqualsTheModel

.PHONY: redis-server
redis-server: # the tests start their own; this only sees that there is one to start
	@command -v redis-server >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'installing redis-server, which the tests start'; \
	    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server >/dev/null; \
	  else \
	    echo 'the tests need redis-server 7 or later: install it, for example with "sudo apt-get install redis-server"' >&2; exit 1; \
	  fi; }

.PHONY: databases
databases: # likewise, PostgreSQL and MariaDB, in which filters are executed
	@missing=; for server in postgres:postgresql mariadbd:mariadb-server; do \
	  program="$${server%%:*}"; package="$${server#*:}"; \
	  found="$$(command -v "$$program" || ls /usr/lib/postgresql/*/bin/"$$program" "/usr/sbin/$$program" 2>/dev/null)" || :; \
	  [ -n "$$found" ] || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing$$missing, which the tests start"; \
	    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else \
	    echo "the tests need$$missing: install them, for example with \"sudo apt-get install$$missing\"" >&2; exit 1; \
	  fi; }

.PHONY: check
check: test lint ## everything that has to pass before a change goes in

.PHONY: lint
lint: $(BIN)/tools/golangci-lint-$(GOLANGCI_LINT) ## the linters, and the policy's own checks
	@test -z "$$(gofmt -l .)" || { echo 'not gofmt-formatted:'; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(BIN)/tools/golangci-lint-$(GOLANGCI_LINT) run ./...
	$(GO) run ./cmd/caregate policy check --policies policies --data data --require-fragment
	$(GO) run ./cmd/caregate policy fmt --policies policies

.PHONY: vulncheck
vulncheck: $(BIN)/tools/govulncheck-$(GOVULNCHECK) ## known vulnerabilities in what is called; needs the vulnerability database
	$(BIN)/tools/govulncheck-$(GOVULNCHECK) ./...

.PHONY: bench
bench: redis-server ## the benchmarks, side by side, as a table of ratios
	$(GO) run ./internal/bench

.PHONY: fuzz
fuzz: ## each fuzz target for half a minute
	@for target in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | sort); do \
	  for name in $$(grep -oE '^func Fuzz[A-Za-z0-9]*' $$target | cut -c6-); do \
	    $(GO) test ./$$(dirname $$target) -run '^$$' -fuzz "^$$name\$$" -fuzztime 30s || exit 1; \
	  done; \
	done

$(BIN)/tools/golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/$(BIN)/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(BIN)/tools/golangci-lint $@

$(BIN)/tools/govulncheck-$(GOVULNCHECK):
	GOBIN=$(CURDIR)/$(BIN)/tools $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK)
	mv $(BIN)/tools/govulncheck $@
