# SPDX-License-Identifier: MIT
# The hypervisor itself: every .c and .S of every room, linked into one ELF64.
# debug/checks is for debug builds only.
HV_SRC := $(sort $(wildcard hypervisor/*/*.c hypervisor/*/*.S $(if $(DEBUG),hypervisor/*/*/*.c)))
HV_OBJ := $(HV_SRC:%=$(BUILD)/%.o)
HV_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-strict-aliasing -fno-common -fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections -fcf-protection=none -fno-jump-tables -DPARAVANE_VERSION='"$(VERSION)"' \
	-Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wvla -Werror -Ihypervisor/include -DPV_DEBUG=$(if $(DEBUG),1,0) $(HV_EXTRA_CFLAGS)

ifneq ($(DEBUG),)
HV_CFLAGS += -mno-omit-leaf-frame-pointer -fno-optimize-sibling-calls
endif

# Retpolines: guests have trained the predictor of indirect branches. gcc optimises across rooms as well (a tenth fewer
# instructions on hot paths); clang would need its own linker for that. Debug builds keep functions apart, for backtraces.
ifneq ($(findstring clang,$(CC)),)
HV_CODEGEN := -mretpoline
else
HV_LTO := $(if $(DEBUG),,-flto=auto)
HV_CODEGEN := $(HV_LTO) -mindirect-branch=thunk -mindirect-branch-register
endif

# Room in the image for the names of functions, which scripts/gen-symbols fills in once they have addresses.
SYMBOLS_SIZE := $(if $(HV_LTO),10240,16384)

$(BUILD)/paravane: hypervisor/boot/paravane.ld $(wildcard hypervisor/boot/hot*.ld) $(HV_OBJ) scripts/gen-symbols
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(filter -O2 -g -mcmodel=kernel -ffunction-sections -fdata-sections,$(HV_CFLAGS)) $(HV_CODEGEN) -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,--no-warn-rwx-segments -Wl,-T,$< -Wl,--defsym=symbols_size=$(SYMBOLS_SIZE) -o $@.new $(HV_OBJ)
	$(Q)scripts/gen-symbols $@.new && mv $@.new $@

$(BUILD)/hypervisor/%.c.o: hypervisor/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) $(HV_CODEGEN) -MMD -MP -c -o $@ $<

$(BUILD)/hypervisor/%.S.o: hypervisor/%.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) $(HV_CODEGEN) -MMD -MP -c -o $@ $<

-include $(HV_OBJ:.o=.d)
