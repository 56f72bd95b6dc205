# SPDX-License-Identifier: MIT
#
# `make lint`: what style can be checked, is. Each part is a target of its own.

LINT_DIR := $(BUILD)/lint
LINT_C := $(shell git ls-files 'hypervisor/*.c' 2>/dev/null)
LINT_PV_HEADERS := $(wildcard hypervisor/include/pv/*.h)
LINT_SDK_HEADERS := $(filter-out %/hidden.h %/note.h,$(wildcard guest/sdk/include/sdk/*.h))
TIDY_CFLAGS = $(filter-out -g -O2,$(subst ",\",$(subst ',,$(HV_CFLAGS))))
HV_DEFINES := -DPARAVANE_VERSION='"$(VERSION)"' -Ihypervisor/include

# Rooms whose files clang-format would still change; the list only gets shorter.
FORMAT_LATER := tests/bench
# (note.h is assembly.)
FORMAT_FILES := $(filter-out %/note.h $(FORMAT_LATER:%=%/%),$(shell git ls-files '*.c' '*.h' 2>/dev/null))

# Texts that the mutants replace are still there.
.PHONY: lint-mutants
lint-mutants:
	@tests/mutants/mutants --check

.PHONY: lint lint-packages lint-rules lint-format lint-headers lint-tidy lint-cppcheck lint-scripts lint-documents
lint: lint-packages lint-rules lint-mutants lint-format lint-headers lint-documents lint-scripts lint-tidy lint-cppcheck
	@echo 'lint: all is well'

lint-packages:
	@scripts/deps build lint

lint-rules:
	@scripts/lint

lint-format:
	@clang-format --dry-run -Werror $(FORMAT_FILES)

# Each header compiles alone, under both compilers.
lint-headers:
	@mkdir -p $(LINT_DIR)
	@for h in $(LINT_PV_HEADERS); do for cc in gcc clang; do \
	    echo "#include \"$$h\"" | $$cc $(filter-out -g,$(HV_CFLAGS)) -fsyntax-only -x c - || exit 1; done; done
	@for h in $(LINT_SDK_HEADERS); do \
	    echo "#include <sdk/types.h>" "#include \"$$h\"" | tr '\n' '\n' | sed 's/ #/\n#/' | \
	    gcc $(filter-out -g -MMD -MP,$(GUEST_CFLAGS)) -fsyntax-only -x c - || exit 1; done

# Documents that are made from the sources.
lint-documents:
	@scripts/gen-hypercalls --check

DOM0_SCRIPTS := $(shell git grep -lE '^\#!/bin/(ba)?sh' guest-images/dom0)
lint-scripts:
	@shellcheck tests/check .ci/run guest-images/linux/init $(DOM0_SCRIPTS) tools/install/*
	@for f in $$(git ls-files | xargs grep -lE '^#!.*python3' 2>/dev/null) $$(git ls-files '*.py'); do \
	    python3 -c "import ast, sys; ast.parse(open(sys.argv[1]).read())" $$f || exit 1; done

# The checks and their reasons are in .clang-tidy.
lint-tidy:
	@echo $(LINT_C) | xargs -P$$(nproc) -n8 sh -c 'clang-tidy --quiet "$$@" -- $(TIDY_CFLAGS) 2>/dev/null' lint

lint-cppcheck:
	@cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr --std=c11 -j2 \
	    --suppress=missingIncludeSystem --suppressions-list=.cppcheck $(HV_DEFINES) hypervisor
