# SPDX-License-Identifier: MIT
# The user-space tools. Gives TOOLS, the programs to build, and the rules that build them under $(BUILD)/tools.

TOOLS := $(BUILD)/tools/paravane-unpack $(BUILD)/tools/paravane-launch-check

HOSTCC ?= gcc
TOOLS_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wvla -Werror

UNPACK_SOURCES := $(wildcard tools/unpack/*.c)
LAUNCH_CHECK_SOURCES := tools/launch-check/main.c $(wildcard hypervisor/launch/*.c)
# The reader alone: what builds guests from a plan is no part of the tool.
LAUNCH_CHECK_SOURCES := $(filter tools/% %/parse.c %/keys.c %/check.c %/message.c,$(LAUNCH_CHECK_SOURCES))

$(BUILD)/tools/paravane-unpack: $(UNPACK_SOURCES) tools/unpack/unpack.h tools/build.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOLS_CFLAGS) -o $@ $(UNPACK_SOURCES) -lz -llzma -llz4 -lzstd -lbz2

$(BUILD)/tools/paravane-launch-check: $(LAUNCH_CHECK_SOURCES) hypervisor/launch/internal.h \
		hypervisor/include/pv/launch.h tools/build.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOLS_CFLAGS) -Ihypervisor/include -o $@ $(LAUNCH_CHECK_SOURCES)

.PHONY: tools
tools: $(TOOLS)
