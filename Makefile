# What one does with this repository; "make help" lists it. CI needs no make:
# .ci/run is all of it from a clean clone.

GOLANGCI := v2.15.0
GOFUMPT := v0.12.0
GOVULNCHECK := v1.9.0

.DEFAULT_GOAL := help
.PHONY: help build test race lint fmt proof bench demo ci

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

build: ## build the production binary into dist/ (no simulators, no embedded server)
	CGO_ENABLED=0 go build -tags production -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o dist/consumer ./cmd/consumer

test: ## run all tests
	go test ./... ./proof/...

race: ## run all tests in random order under the race detector (needs a C compiler)
	go test -race -shuffle=on ./... ./proof/...

lint: ## run the linters (the first time builds them: one to two minutes)
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI) run ./... ./proof/...

fmt: ## format the code and write generated files anew
	go generate ./...
	go run mvdan.cc/gofumpt@$(GOFUMPT) -w .

proof: ## the proofs at full size: an hour or more (docs/proof.md)
	.ci/proof

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./... ./proof/...

demo: ## watch cancels and refunds happen against simulators
	go run ./cmd/consumer demo

ci: ## everything a change must pass (up to 40 minutes)
	.ci/run
