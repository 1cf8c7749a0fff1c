# What one does with graft: each target says what it needs and installs it.
SHELL := /bin/bash
GRAFT := .build/release/graft
VENV := .venv
# With Swift's runtime inside, where the toolchain has it as archives: the program starts a third faster and runs on
# machines without Swift.
STATIC := $(wildcard $(dir $(realpath $(shell command -v swift)))../lib/swift_static)
export RELEASE := -c release $(if $(STATIC),--static-swift-stdlib)

.PHONY: help build demo test bench conformance conformance-all fuzz sanitize portable format lint install clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

build: ## the program, in release mode
	@Scripts/system-packages.sh
	swift build $(RELEASE) --product graft

demo: build ## the main job on real weights and real photos, each command shown
	@Scripts/demo.sh $(GRAFT)

# Those that wait for a peer run apart from those that compute: on few cores they would find no thread in time.
WAITING := ^(HubTests|MirrorTests|ServerTests)\.
SWIFT_TEST = GRAFT=$(CURDIR)/$(GRAFT) OMP_WAIT_POLICY=passive swift test --skip-build --disable-xctest

test: ## all unit, loopback and command tests
	@Scripts/system-packages.sh
	swift build $(RELEASE) --product graft
	swift build --build-tests
	$(SWIFT_TEST) --filter '$(WAITING)'
	$(SWIFT_TEST) --skip '$(WAITING)'

.PHONY: harness
harness:
	swift build $(RELEASE) --product graft-harness

conformance: build harness ## the real peers (PyTorch, Keras, safetensors, …) against graft (ONLY='hub readers' for some)
	@Scripts/peers.sh $(VENV)
	@Scripts/conformance.sh $(VENV) $(CURDIR)/$(GRAFT) $(ONLY)

conformance-all: build harness ## the same with every network, not one of each family
	@Scripts/peers.sh $(VENV)
	@CONFORMANCE=all Scripts/conformance.sh $(VENV) $(CURDIR)/$(GRAFT) $(ONLY)

bench: build ## ours against the peers by turns, ratios of medians, into docs/*BENCHMARKS.md (QUICK=1: some minutes, no table)
	@Scripts/peers.sh $(VENV)
	@QUICK=$(QUICK) Scripts/bench.sh $(VENV) $(CURDIR)/$(GRAFT)

FUZZ_FLAGS := -c release --scratch-path .build-fuzz --sanitize fuzzer -Xswiftc -enable-testing \
    -Xswiftc -assert-config -Xswiftc Debug
SECONDS ?= 20
fuzz: ## every parser under libFuzzer (TARGET='pickle onnx' for some, SECONDS=600 for longer)
	@Scripts/system-packages.sh
	GRAFT_FUZZ=1 swift build $(FUZZ_FLAGS) --product graft-fuzz
	@Scripts/fuzz.sh .build-fuzz/release/graft-fuzz $(SECONDS) $(TARGET)

SANITIZE_FLAGS := --scratch-path .build-sanitize --sanitize address
sanitize: ## plans on many threads under the address sanitizer (by command; its first build takes minutes)
	@Scripts/system-packages.sh
	swift build $(SANITIZE_FLAGS) --product graft-sanitized
	OMP_WAIT_POLICY=passive .build-sanitize/debug/graft-sanitized

portable: ## build and test in another release, made by debootstrap (SUITE=trixie; needs root; by command)
	@Scripts/portable.sh

format: ## rewrite the sources in the house style
	swift format -i -r Package.swift Sources Registry Cache Tests

lint: ## check the house style (Scripts/house.py --list shows where), and that the C kernels compile for other processors
	swift format lint --strict -r Package.swift Sources Registry Cache Tests
	@Scripts/kernels.sh
	@Scripts/house.py

PREFIX ?= /usr/local
install: build ## to $(PREFIX)/bin (PREFIX=… for another place)
	install -D $(GRAFT) $(PREFIX)/bin/graft
	cp -R .build/release/graft_GraftRegistry.resources $(PREFIX)/bin/

clean: ## remove what was built
	rm -rf .build .build-fuzz .build-sanitize .build-portable .bench $(VENV)
