# SPDX-License-Identifier: MIT
# The comparison of the same kernel and program on bare QEMU, on Debian's Xen and on this hypervisor.

BENCH_DIR := tests/bench
BENCH_OUT := $(BUILD)/bench
BENCH_SOURCES := $(wildcard $(BENCH_DIR)/program/*.c) $(BENCH_DIR)/program/start.S
BENCH_CFLAGS := -std=gnu11 -m64 -O2 -g -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wvla -Werror -ffreestanding \
    -fno-stack-protector -fno-pie -fcf-protection=none -fno-asynchronous-unwind-tables -mgeneral-regs-only \
    -fno-tree-loop-distribute-patterns -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-Ttext-segment=0x20000000
PARAVANE_CACHE ?= $(BUILD)/cache
BENCH_ENV := BUILD=$(BUILD) PARAVANE_CACHE=$(PARAVANE_CACHE) PYTHONDONTWRITEBYTECODE=1 $(or $(PYTHON),/usr/bin/python3)
BENCH := $(BENCH_ENV) $(BENCH_DIR)/bench

$(BENCH_OUT)/program: $(BENCH_SOURCES) $(wildcard $(BENCH_DIR)/program/*.h) $(BENCH_DIR)/build.mk
	@mkdir -p $(@D)
	gcc $(BENCH_CFLAGS) -o $@ $(BENCH_SOURCES)

$(BENCH_OUT)/nothing: $(BENCH_DIR)/nothing/nothing.c $(BENCH_DIR)/build.mk
	@mkdir -p $(@D)
	gcc -std=gnu11 -m64 -O2 -Wall -Wextra -Werror -static -no-pie -s -o $@ $<

# In dom0 and its guests. Static and without a fixed place of its own in any other program, for its marks.
$(BENCH_OUT)/meter: $(wildcard $(BENCH_DIR)/meter/*.[ch]) $(BENCH_DIR)/build.mk
	@mkdir -p $(@D)
	gcc -std=gnu11 -m64 -O2 -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wvla -Werror -static -no-pie \
	    -Wl,-Ttext-segment=0x20000000 -o $@ $(filter %.c,$^)

PLUGIN_CFLAGS := -std=gnu11 -O2 -Wall -Wextra -Wshadow -Werror -fPIC -shared

$(BENCH_OUT)/profile.so: $(BENCH_DIR)/plugin.c $(BENCH_DIR)/plugin.h $(BENCH_DIR)/build.mk
	@mkdir -p $(@D)
	gcc $(PLUGIN_CFLAGS) -o $@ $<

$(BENCH_OUT)/pages.so: $(BENCH_DIR)/pages.c $(BENCH_DIR)/plugin.h $(BENCH_DIR)/build.mk
	@mkdir -p $(@D)
	gcc $(PLUGIN_CFLAGS) -o $@ $<

.PHONY: bench bench-quick bench-profile bench-pages bench-programs bench-scale
bench-programs: all tools guests $(BENCH_OUT)/program $(BENCH_OUT)/nothing $(BENCH_OUT)/profile.so $(BENCH_OUT)/pages.so
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests vmlinux-6.1 xen-4.17 busybox

bench: bench-programs
	@$(BENCH) --out $(BENCH_OUT) $(BENCH_ARGS)

bench-quick: bench-programs
	@$(BENCH) --quick --out $(BENCH_OUT)/quick $(BENCH_ARGS)

# How guests share a host. Nothing else may run on this machine meanwhile: what its CPUs do for others is charged to guests.
bench-scale: all tools guests
	@PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests xen-4.17
	@$(BENCH_ENV) $(BENCH_DIR)/scale $(SCALE_ARGS)

# A Debian dom0 with the stock tools, on both hypervisors: about four minutes for each boot of each.
.PHONY: bench-dom0
bench-dom0: packages bench-programs dom0-image $(BENCH_OUT)/meter
	@$(BENCH_ENV) $(BENCH_DIR)/bench-dom0 --out $(BENCH_OUT)/dom0 $(BENCH_ARGS)

# `make bench-profile ROW=pipe`: where its instructions go. PROFILE_ARGS: see tests/bench/profile --help
bench-profile: bench-programs
	@$(BENCH_ENV) $(BENCH_DIR)/profile $(or $(ROW),getppid) $(PROFILE_ARGS)

# `make bench-pages ROW="exec fork"`: the pages it touches between changes of root. PROFILE_ARGS: see tests/bench/pages --help
bench-pages: bench-programs
	@$(BENCH_ENV) $(BENCH_DIR)/pages $(or $(ROW),exec) $(PROFILE_ARGS)
