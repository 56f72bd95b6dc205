# SPDX-License-Identifier: MIT
#
# Unit tests on the host: each tests/unit/test_NAME.c becomes one program, built with ASan and UBSan from itself,
# host.c (stand-ins for the machine) and what its line "// sources: ..." names: files relative to the top of the tree,
# or to hypervisor/. Uses BUILD and CC; `make unit` runs all of them, `make unit-NAME` one.

UNIT_NAMES := $(sort $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c)))
UNIT_DIR := $(BUILD)/unit
UNIT_HEADERS := $(wildcard hypervisor/include/pv/*.h hypervisor/*/*.h tests/unit/*.h)
# The rooms as debug builds have them; host.c has stand-ins for what that asks for.
UNIT_DEFINES := -DPV_DEBUG=1 -DPARAVANE_VERSION='"$(VERSION)"'
UNIT_CFLAGS := -std=gnu11 -g -O1 -pthread -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=undefined -Wall -Wextra -Wshadow -Wundef -Wvla -Werror -Ihypervisor/include -Itests/unit $(UNIT_DEFINES)
UNIT_ENV := ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

unit_words = $(shell sed -n '1,10s,^// sources:,,p' tests/unit/test_$(1).c)
unit_sources = $(foreach f,$(call unit_words,$(1)),$(or $(wildcard $(f)),$(wildcard hypervisor/$(f)),$(f)))

.PHONY: unit $(UNIT_NAMES:%=unit-%)
unit: $(UNIT_NAMES:%=unit-%)

# Every source is compiled once, whichever tests want it.
unit_objects = $(patsubst %.c,$(UNIT_DIR)/obj/%.o,tests/unit/test_$(1).c tests/unit/host.c $(call unit_sources,$(1)))

$(UNIT_DIR)/obj/%.o: %.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

# Some tests include a file of the hypervisor's, to get at what only it can see.
-include $(shell find $(UNIT_DIR)/obj -name '*.d' 2>/dev/null)

define unit_rules
$(UNIT_DIR)/test_$(1): $(call unit_objects,$(1))
	$(Q)$(CC) $(UNIT_CFLAGS) -o $$@ $$(sort $$^) -lcmocka

unit-$(1): $(UNIT_DIR)/test_$(1)
	@$(UNIT_ENV) $$< >$$<.log 2>&1; rc=$$$$?; echo "== $(1)"; cat $$<.log; exit $$$$rc
endef
$(foreach t,$(UNIT_NAMES),$(eval $(call unit_rules,$(t))))

# `make model SEEDS=100 STEPS=20000 FIRST=7`: longer runs of the model of hypercalls, from seed FIRST on.
.PHONY: model
model: $(UNIT_DIR)/test_hc_model
	@$(UNIT_ENV) MODEL_SEEDS=$(or $(SEEDS),20) MODEL_STEPS=$(or $(STEPS),20000) MODEL_FIRST=$(or $(FIRST),1) $<

# `make check-threads`: the tests that use threads, under ThreadSanitizer.
THREAD_NAMES := hc_threads mm_threads evtchn console_ring timer sched
THREAD_CFLAGS = $(filter-out -fsanitize% -fno-sanitize%,$(UNIT_CFLAGS)) -fsanitize=thread --param tsan-distinguish-volatile=1 -Wno-tsan

.PHONY: check-threads $(THREAD_NAMES:%=threads-%)
check-threads: $(THREAD_NAMES:%=threads-%)

define thread_rules
$(UNIT_DIR)/threads_$(1): tests/unit/test_$(1).c tests/unit/host.c tests/unit/tsan_volatile.c $(call unit_sources,$(1)) \
    $(UNIT_HEADERS)
	@mkdir -p $(UNIT_DIR)
	$(Q)gcc $(THREAD_CFLAGS) -o $$@ tests/unit/test_$(1).c tests/unit/host.c tests/unit/tsan_volatile.c \
	    $(call unit_sources,$(1)) -lcmocka

threads-$(1): $(UNIT_DIR)/threads_$(1)
	@TSAN_OPTIONS=halt_on_error=1:suppressions=tests/unit/tsan.supp $$< >$$<.log 2>&1; rc=$$$$?; echo "== threads_$(1)"; cat $$<.log; exit $$$$rc
endef
$(foreach t,$(THREAD_NAMES),$(eval $(call thread_rules,$(t))))

# `make coverage`: lines and branches of the hypervisor that these tests reach, into docs/coverage.md.
COVERAGE_DIR := $(BUILD)/coverage
COVERAGE_CFLAGS := $(filter-out -fsanitize% -fno-sanitize% -O1,$(UNIT_CFLAGS)) -O0 -fprofile-instr-generate -fcoverage-mapping

.PHONY: coverage coverage-runs $(UNIT_NAMES:%=coverage-%)
coverage: packages
	@$(MAKE) --no-print-directory -j$$(nproc) coverage-runs
	@tests/unit/coverage.py $(COVERAGE_DIR) docs/coverage.md
coverage-runs: $(UNIT_NAMES:%=coverage-%)

define coverage_rules
coverage-$(1): tests/unit/test_$(1).c tests/unit/host.c $(call unit_sources,$(1)) $(UNIT_HEADERS)
	@mkdir -p $(COVERAGE_DIR)
	$(Q)clang $(COVERAGE_CFLAGS) -o $(COVERAGE_DIR)/test_$(1) tests/unit/test_$(1).c tests/unit/host.c \
	    $(call unit_sources,$(1)) -lcmocka
	$(Q)LLVM_PROFILE_FILE=$(COVERAGE_DIR)/test_$(1).profraw $(COVERAGE_DIR)/test_$(1) >$(COVERAGE_DIR)/$(1).log 2>&1
endef
$(foreach t,$(UNIT_NAMES),$(eval $(call coverage_rules,$(t))))
