# SPDX-License-Identifier: MIT
#
# Fuzzers: tests/fuzz/fuzz_NAME.c, with a line "// sources: ..." as the unit tests have. `make fuzz TIME=600` runs each so
# many seconds, from its kept inputs (tests/fuzz/corpus/NAME.txt) and what earlier runs found (BUILD/fuzz/NAME.corpus).
# `make fuzz-keep-NAME` makes the kept inputs anew from both, reduced.

FUZZ_NAMES := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_DIR := $(BUILD)/fuzz
FUZZ_CC ?= clang
FUZZ_CFLAGS := -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Wall -Wextra -Werror \
    -fsanitize-coverage-ignorelist=tests/fuzz/uninstrumented.txt -Ihypervisor/include -Itests/unit $(UNIT_DEFINES)
fuzz_words = $(shell sed -n '1,10s,^// sources:,,p' tests/fuzz/fuzz_$(1).c)
fuzz_sources = $(foreach f,$(call fuzz_words,$(1)),$(or $(wildcard $(f)),$(wildcard hypervisor/$(f)),$(f)))

.PHONY: fuzz check-fuzz $(FUZZ_NAMES:%=fuzz-%) $(FUZZ_NAMES:%=fuzz-keep-%)
fuzz: $(FUZZ_NAMES:%=fuzz-%)

# Every kept input, and a short run.
check-fuzz: packages
	@$(MAKE) --no-print-directory -k -j$$(nproc) --output-sync=target fuzz TIME=2

define fuzz_rules
$(FUZZ_DIR)/$(1): tests/fuzz/fuzz_$(1).c $(call fuzz_sources,$(1)) $(UNIT_HEADERS)
	@mkdir -p $(FUZZ_DIR)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -o $$@ tests/fuzz/fuzz_$(1).c $(call fuzz_sources,$(1))

fuzz-$(1): $(FUZZ_DIR)/$(1)
	@mkdir -p $(FUZZ_DIR)/$(1).corpus && rm -rf $(FUZZ_DIR)/$(1).kept
	@tests/fuzz/corpus.py unpack $(1) $(FUZZ_DIR)/$(1).kept
	@echo "== fuzz $(1)"; $$< -max_total_time=$(or $(TIME),20) -timeout=60 -print_final_stats=1 \
	    -artifact_prefix=$(FUZZ_DIR)/$(1)- $(FUZZ_DIR)/$(1).corpus $(FUZZ_DIR)/$(1).kept >$$<.log 2>&1 || \
	    { tail -30 $$<.log; exit 1; }; sed -n 's/.*seed corpus: files: \([0-9]*\).*/\1 inputs kept/p' $$<.log; \
	    grep -E 'number_of_executed_units|cov:' $$<.log | tail -2

fuzz-keep-$(1): $(FUZZ_DIR)/$(1)
	@tests/fuzz/corpus.py unpack $(1) $(FUZZ_DIR)/$(1).kept
	@rm -rf $(FUZZ_DIR)/$(1).least && mkdir -p $(FUZZ_DIR)/$(1).least $(FUZZ_DIR)/$(1).corpus
	@$$< -set_cover_merge=1 -max_len=1024 $(FUZZ_DIR)/$(1).least $(FUZZ_DIR)/$(1).corpus $(FUZZ_DIR)/$(1).kept >$$<.log 2>&1
	@tests/fuzz/corpus.py pack $(1) $(FUZZ_DIR)/$(1).least
endef
$(foreach t,$(FUZZ_NAMES),$(eval $(call fuzz_rules,$(t))))
