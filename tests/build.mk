# SPDX-License-Identifier: MIT
#
# The tests: unit tests on the host, the tools, whole machines in QEMU, the test kernels beside the peer; and the fuzzers. tests/check
# runs all but the last in turn and repeats the runners' summaries at its end.

# Debian's Python has Debian's pytest and pexpect, whatever other Pythons are about.
PYTHON ?= /usr/bin/python3
PYTEST := BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest -p no:cacheprovider -rfE --color=no
PARAVANE_CACHE ?= $(BUILD)/cache
SYSTEM_ASSETS := vmlinux-6.1 vmlinux-6.12 vmlinux-cloud pvgrub

.PHONY: check-mutants
# Not part of check: half an hour. WORDS picks by file or title.
check-mutants: packages all guests images
	@BUILD=$(BUILD) tests/mutants/mutants host $(WORDS)
	@BUILD=$(BUILD) PARAVANE_CACHE=$(or $(PARAVANE_CACHE),$(BUILD)/cache) tests/mutants/mutants kernel $(WORDS)

.PHONY: check check-unit check-tools check-system packages
check:
	@BUILD=$(BUILD) MAKE="$(MAKE)" CC="$(CC)" TESTS="$(TESTS)" tests/check

packages:
	@scripts/deps build run test

check-unit: packages
	@$(MAKE) --no-print-directory -k -j$$(nproc) --output-sync=target unit check-threads

check-tools: packages tools
	@$(PYTEST) tests/tools

check-system: packages all tools guests images
	@$(MAKE) --no-print-directory DEBUG=1 BUILD=$(BUILD)/debug all
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests $(SYSTEM_ASSETS)
	@rm -rf $(BUILD)/system/logs
	@$(if $(TESTS),$(SYSTEM_TESTS) -k "$(TESTS)",$(SYSTEM_TESTS) -n "$$(nproc)" -m "not alone"; status=$$?; \
	    $(SYSTEM_TESTS) -m alone && exit $$status)

# As many machines at once as there are CPUs, and then, one by one, those that measure. Picked tests run one by one.
SYSTEM_TESTS = PARAVANE_CACHE=$(PARAVANE_CACHE) $(PYTEST) --durations=8 tests/system

# Beside Debian's Xen: the test kernels' checks, and what the xl commands print in a dom0.
.PHONY: check-peer check-peer-kernels
check-peer: check-peer-kernels
	@$(MAKE) --no-print-directory check-dom0 HYPERVISOR=both SCENARIO=commands

check-peer-kernels: packages all tools guests xen
	@PARAVANE_CACHE=$(PARAVANE_CACHE) $(PYTEST) --durations=4 tests/peer $(if $(TESTS),-k "$(TESTS)")

.PHONY: xen
xen: packages
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests xen-4.17

.PHONY: check-bochs check-bochs-short
# The same kernels on processors that Bochs emulates: all, or what is worth its time in check.
BOCHS_TESTS = PARAVANE_CACHE=$(PARAVANE_CACHE) $(PYTEST) --durations=4 -n "$$(nproc)" tests/bochs
check-bochs: packages all guests images
	@scripts/deps bochs
	@$(MAKE) --no-print-directory DEBUG=1 BUILD=$(BUILD)/debug all
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests vmlinux-6.1
	@$(BOCHS_TESTS) $(if $(TESTS),-k "$(TESTS)")

check-bochs-short: packages all guests
	@scripts/deps bochs
	@$(BOCHS_TESTS) -m short

.PHONY: check-dom0 check-dom0-long dom0-image
dom0-image: packages tools
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) guest-images/dom0/make-image $(DOM0_IMAGES)

# The stock tools in a Debian dom0: the short scenario. check-dom0-long, not part of check: all of them. HYPERVISOR=both compares with the
# peer, HYPERVISOR=xen is the peer alone.
DOM0_TESTS = PARAVANE_CACHE=$(PARAVANE_CACHE) $(PYTEST) --durations=8 tests/dom0 --hypervisor=$(or $(HYPERVISOR),paravane) $(if $(SCENARIO),-k "$(SCENARIO)")
check-dom0: packages all dom0-image $(if $(HYPERVISOR),xen)
	@$(DOM0_TESTS) -m "not long"

check-dom0-long: DOM0_IMAGES = disk large
check-dom0-long: packages all guests dom0-image xen
	@$(DOM0_TESTS)

.PHONY: check-long
# Not part of check: TIME seconds (an hour) with many guests of every kind. DOCS=docs/reliability.md publishes the results.
check-long: packages all tools guests images
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests $(SYSTEM_ASSETS)
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/long/check_long.py \
	    $(or $(TIME),3600) $(DOCS)

include tests/fuzz/build.mk

# What operations cost, in instructions and in time: tests/bench does it.
.PHONY: figures
# docs/figures.md: size, memory and start time, measured now.
figures: all tools guests
	@BUILD=$(BUILD) PARAVANE_CACHE=$(PARAVANE_CACHE) scripts/prepare-guests xen-4.17
	@BUILD=$(BUILD) PARAVANE_CACHE=$(or $(PARAVANE_CACHE),$(BUILD)/cache) scripts/figures docs/figures.md
