# SPDX-License-Identifier: MIT
# Test and demo kernels: included by a makefile that sets BUILD and CC. Gives GUEST_KERNELS and `guests`.

GUEST_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
GUEST_OUT := $(BUILD)/guest
GUEST_NAMES := $(filter-out shapes,$(notdir $(patsubst %/,%,$(wildcard $(GUEST_DIR)/kernels/*/))))
GUEST_SHAPES := linux plain plain-bits string string-required
GUEST_KERNELS := $(GUEST_NAMES:%=$(GUEST_OUT)/%.elf) $(GUEST_SHAPES:%=$(GUEST_OUT)/shape-%.elf)

# One build of the code serves every link address: position-independent, all symbols hidden, linked fixed.
GUEST_FLAGS := -I$(GUEST_DIR)/sdk/include -D__XEN_INTERFACE_VERSION__=0x00040e00 -ffreestanding -fno-stack-protector \
    -fpie -fvisibility=hidden -include $(GUEST_DIR)/sdk/include/sdk/hidden.h -m64 -mno-red-zone -mgeneral-regs-only \
    -fno-asynchronous-unwind-tables -fcf-protection=none -g -MMD -MP
GUEST_CFLAGS := $(GUEST_FLAGS) -std=gnu11 -O2 -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wvla -Werror
GUEST_LDFLAGS := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-T,$(GUEST_DIR)/sdk/kernel.lds
GUEST_LINK = $(CC) $(GUEST_LDFLAGS) -Wl,--defsym=kernel_virt_base=$(1) -Wl,--defsym=image_offset=$(2)
GUEST_HIGH := 0xffffffff80000000

guest_objects = $(patsubst $(GUEST_DIR)/%,$(GUEST_OUT)/obj/%.o,$(wildcard $(GUEST_DIR)/$(1)/*.c $(GUEST_DIR)/$(1)/*.S))
GUEST_NOTES := $(GUEST_OUT)/obj/sdk/notes.S.o
GUEST_SDK := $(filter-out $(GUEST_NOTES),$(call guest_objects,sdk))
GUEST_OBJECTS := $(GUEST_SDK) $(GUEST_NOTES) $(foreach k,$(GUEST_NAMES) shapes,$(call guest_objects,kernels/$(k)))

.PHONY: guests
guests: $(GUEST_KERNELS)

$(GUEST_OUT)/obj/%.c.o: $(GUEST_DIR)/%.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c $< -o $@

$(GUEST_OUT)/obj/%.S.o: $(GUEST_DIR)/%.S
	@mkdir -p $(@D)
	$(CC) $(filter-out -include %hidden.h,$(GUEST_FLAGS)) -D__ASSEMBLY__ -c $< -o $@

# `crowd` builds its guests with the parts of `builder`.
GUEST_PARTS_crowd := $(foreach part,build control image space,$(GUEST_OUT)/obj/kernels/builder/$(part).c.o)

define guest_kernel
$(GUEST_OUT)/$(1).elf: $(GUEST_SDK) $(GUEST_NOTES) $(call guest_objects,kernels/$(1)) $(GUEST_PARTS_$(1)) $(GUEST_DIR)/sdk/kernel.lds
	$$(call GUEST_LINK,$(GUEST_HIGH),0x100000) $$(filter %.o,$$^) -o $$@
endef
$(foreach k,$(GUEST_NAMES),$(eval $(call guest_kernel,$(k))))

# The shapes kernel with one file of notes each; "plain" ones are linked at base 0, the rest high.
GUEST_SHAPE_BASE_plain := 0
GUEST_SHAPE_BASE_plain-bits := 0
define guest_shape
$(GUEST_OUT)/shape-$(1).elf: $(GUEST_SDK) $(GUEST_OUT)/obj/kernels/shapes/shapes.c.o \
    $(GUEST_OUT)/obj/kernels/shapes/$(1).S.o $(GUEST_DIR)/sdk/kernel.lds
	$$(call GUEST_LINK,$(or $(GUEST_SHAPE_BASE_$(1)),$(GUEST_HIGH)),0x100000) $$(filter %.o,$$^) -o $$@
endef
$(foreach s,$(GUEST_SHAPES),$(eval $(call guest_shape,$(s))))

-include $(GUEST_OBJECTS:.o=.d)
