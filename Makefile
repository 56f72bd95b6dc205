# SPDX-License-Identifier: MIT
# Paravane. `make help` lists the targets.
# `make DEBUG=1`: with assertions, audits and injected faults (docs/debugging.md), in a directory of its own.
DEBUG ?=
BUILD ?= build$(if $(DEBUG),/debug)
ifeq ($(origin CC),default)
CC := gcc
endif
# `make V=1` shows the commands.
Q := $(if $(V),,@)
VERSION := 0.1

.DEFAULT_GOAL := all
.PHONY: all
all: $(BUILD)/paravane

include hypervisor/build.mk
-include guest/build.mk
-include tools/build.mk
-include guest-images/build.mk
-include tests/unit/build.mk
-include tests/build.mk
-include tests/bench/build.mk
-include lint.mk

# What a build needs of Debian's packages, seen to once.
$(HV_OBJ) $(GUEST_OBJECTS) $(TOOLS): | $(BUILD)/.packages
$(BUILD)/.packages: scripts/deps
	@mkdir -p $(@D)
	@scripts/deps build && touch $@

.PHONY: run run-launch
# A Debian control domain with the stock Xen tools, which creates two guests.
run: all tools
	@BUILD=$(BUILD) scripts/run --dom0 $(RUN_ARGS)

# Guests without a control domain: the demonstration, or `make run-launch LAUNCH=my.launch`.
run-launch: all tools guests images
	@BUILD=$(BUILD) scripts/run $(RUN_ARGS)

.PHONY: help
help:
	@echo 'make                            build $(BUILD)/paravane (CC=clang works too)'
	@echo 'make DEBUG=1                    build/debug/paravane, which checks its own invariants (docs/debugging.md)'
	@echo 'make run                        boot a Debian dom0 with the stock Xen tools in QEMU; it shows two guests, then you have its'
	@echo '                                shell; without a terminal, until both were shown. KERNEL=6.12 MEMORY=MiB CPUS=N APPEND=options'
	@echo 'make run-launch                 boot the demonstration guests side by side, without a control domain. GUESTS=a,b picks;'
	@echo '                                LAUNCH=file for your own launch file'
	@echo 'make check                      all tests: check-unit, check-fuzz, check-tools, check-system, check-bochs-short, check-dom0, check-peer'
	@echo '                                (TESTS=words to pick system tests)'
	@echo 'make check-bochs                test kernels and a Linux on processors that Bochs emulates; TESTS=words'
	@echo 'make check-dom0                 the xl commands in a Debian dom0; HYPERVISOR=both compares with the peer'
	@echo 'make check-dom0-long            and disks, networks, save and restore, installing; SCENARIO=names'
	@echo 'make model SEEDS=50             random hypercalls against a model, longer than in make check (STEPS, FIRST)'
	@echo 'make check-mutants              takes checks away, one at a time, and sees a test fail for each. WORDS=words'
	@echo 'make check-long TIME=3600       many guests of every kind for so long; not part of check'
	@echo 'make fuzz TIME=60               the fuzzers over every untrusted decoder, each so long'
	@echo 'make coverage                   what the unit tests reach of the hypervisor, into docs/coverage.md'
	@echo 'make lint                       style, static analysis, generated documents'
	@echo 'make figures                    measures size, memory and start time into docs/figures.md'
	@echo 'make bench                      what operations cost guests, beside a native kernel and the peer'
	@echo 'make bench-dom0                 boot, guests, disks and networks of a Debian dom0, beside the peer'
	@echo 'make bench-scale                start time, shares and wake-ups of many guests at once'
	@echo 'make guests tools images        test kernels, user-space tools, the ramdisk of the Linux guests'
	@echo 'make clean                      remove $(BUILD)'

.PHONY: clean
clean:
	rm -rf $(BUILD)
