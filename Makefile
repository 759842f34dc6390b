# make demo    installs what is missing, builds admc, compiles the hotel-reservation example
# make test    installs what the tests need, then checks and tests everything
# make build   builds bin/admc
# make bpf     rebuilds the committed redirect objects (clang 14)
# make golden  rewrites the golden outputs; read the diff before committing it
# make fuzz    a minute for each fuzz target
# make bench   checks the largest programs, beside what cel-go takes for the conditions alone
# make bench-lines  compares the lines of 27 policies with those of the same rules for Istio
# make bench-solver  places generated meshes with every engine and five other solvers; writes the tables of docs/performance.md
# make bench-adm  measures what ADMs cost (8 minutes, as root, on a quiet machine) and tells which costs are said otherwise; UPDATE=-update writes the tables of docs/performance.md
#
# Recipes use relative paths, so that the checkout may stand anywhere.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: build demo test check bpf golden fuzz bench bench-lines bench-solver bench-adm clean

# golp includes and links lp_solve; Debian's package has no pkg-config file.
export CGO_CFLAGS  ?= -I/usr/include/lpsolve
export CGO_LDFLAGS ?= -llpsolve55 -lm -ldl -lcolamd

# Without an answer from git (a checkout of another user), build all the same.
export GOFLAGS := $(strip $(GOFLAGS) $(if $(shell git status --porcelain >/dev/null 2>&1 && echo yes),,-buildvcs=false))

# One Envoy for everything: as named, or on PATH, or the one in .tools.
ifneq ($(ENVOY),)
export ENVOY := $(shell command -v "$(ENVOY)" | xargs -r -d '\n' realpath)
endif

build:
	@.ci/install build
	go build -o bin/admc ./cmd/admc

demo:
	@.ci/install build demo
	go build -o bin/admc ./cmd/admc
	@.ci/demo

check:
	@unformatted=$$(gofmt -l bench bpf bpfgen cmd emit graph lang solver); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these:" $$unformatted; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	CGO_ENABLED=0 go build -o /dev/null ./cmd/admc
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go build ./...

test:
	@.ci/install build test
	@$(MAKE) --no-print-directory check
	go build -o bin/admc ./cmd/admc
	go test -race -timeout 25m $$(go list ./... | grep -v '/emit/envoy$$')
	go test -timeout 25m ./emit/envoy # hundreds of proxies at a time: the race detector leaves them too little of two cores
	@[ "$$(id -u)" = 0 ] || echo "Left out, because they need root: the tests in network namespaces and those that load redirect objects. Run: sudo make test"

bpf:
	@.ci/install build test
	bpf/build.sh

golden:
	@.ci/install build test
	go test ./cmd/admc ./emit/dot ./emit/envoy ./emit/kube ./lang -update

# Without a bound Go spends the minute on shrinking the first input that it finds
# interesting: ten executions of FuzzPayload instead of thousands.
fuzz:
	@.ci/install build
	@for pkg in $$(go list ./lang/... ./graph/... ./solver/... ./emit/envoy); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 60s -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

bench:
	@.ci/install build
	go test -run '^$$' -bench 'BenchmarkCheck|Everywhere' -benchtime 3x ./lang

# A module of its own: nothing else here needs Istio. UPDATE=-update writes the
# table into docs/lines.md.
bench-lines: export CGO_ENABLED := 0
bench-lines:
	cd bench/istio && go vet ./... && go test ./... && go run . $(UPDATE)

bench-solver:
	@.ci/install build bench
	go build -o bin/admc ./cmd/admc
	go build -o bin/bench ./solver/bench
	bin/bench

# go prints the measurements because of -v. Without root it skips.
bench-adm:
	@.ci/install build test
	go test -count 1 -timeout 30m -v -run '^TestCosts$$' ./bench/adm -args -full $(UPDATE)

clean:
	rm -rf bin .tools examples/*/out examples/mesh-policies/*/out
