# `make demo` and `make test` set up what they need on a fresh Debian machine; the rest is for working on kapsule.

.PHONY: demo test bench build release lint format setup setup-test fuzz campaign-hub campaign-registry resume-large clean
.DEFAULT_GOAL := build

TOOLS := .build-tools
RELEASE := .build/release/kapsule

## demo: build kapsule, build a small model into a local store, inspect it, export it, show its plan
demo: setup release
	Scripts/demo.sh $(RELEASE)

# One after the other: some tests wait for a process or fill a core for seconds, and those that watch the clock would then
# starve on the two threads that Swift gives two cores. The program's own tests watch no clock.
TEST := KAPSULE_REQUIRE_TOOLS=1 KAPSULE_TOOLS=$(CURDIR)/$(TOOLS) swift test --skip-build

## test: every test, against the real tools; then every command of the documentation
test: setup-test
	swift build --build-tests
	$(TEST) --no-parallel --skip KapsuleTests
	$(TEST) --filter KapsuleTests
	KAPSULE_REQUIRE_TOOLS=1 examples/check.sh .build/debug/kapsule

## bench: side by side with other tools; results go to docs/performance.md by hand
bench: setup-test release
	swift build -c release --product verity-tree
	KAPSULE_TOOLS=$(CURDIR)/$(TOOLS) Scripts/bench.py $(RELEASE)

## campaign-registry: pushes and pulls through a registry that misbehaves, 1000 seeds or KAPSULE_CAMPAIGN of them
campaign-registry: setup-test
	swift build --build-tests
	KAPSULE_CAMPAIGN=$${KAPSULE_CAMPAIGN:-1000} $(TEST) --filter RegistryCampaign

## resume-large: pushes and pulls of 2 GiB, killed at nine tenths; KAPSULE_REGISTRY names a registry that keeps what was cut
resume-large: setup-test
	swift build --build-tests
	KAPSULE_RESUME_SIZE=$${KAPSULE_RESUME_SIZE:-2147483648} $(TEST) --filter ' ResumeTests|\.ResumeTests'

## fuzz: the parsers for longer than `make test` takes
fuzz: setup
	swift build --build-tests
	KAPSULE_FUZZ_ITERATIONS=$${KAPSULE_FUZZ_ITERATIONS:-2000000} swift test --skip-build --filter Fuzz

## campaign-hub: builds from a hub, a storage and a registry that fail in every way, 500 of them
campaign-hub: setup-test
	swift build --build-tests
	KAPSULE_HUB_CAMPAIGN=$${KAPSULE_HUB_CAMPAIGN:-500} $(TEST) --filter HubCampaign

build: setup
	swift build

release: setup
	swift build -c release --product kapsule

lint:
	swift format lint --strict --recursive Sources Tests Package.swift

format:
	swift format --in-place --recursive Sources Tests Package.swift

setup:
	Scripts/setup.sh build

setup-test:
	Scripts/setup.sh test $(TOOLS)

clean:
	rm -rf .build $(TOOLS) demo-out
