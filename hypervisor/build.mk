# SPDX-License-Identifier: MIT
# The hypervisor itself: every .c and .S of every room, linked into one ELF64.
HV_SRC := $(sort $(wildcard hypervisor/*/*.c hypervisor/*/*.S))
HV_OBJ := $(HV_SRC:%=$(BUILD)/%.o)
HV_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-strict-aliasing -fno-common -fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-fcf-protection=none -fno-jump-tables -DPARAVANE_VERSION='"$(VERSION)"' \
	-Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wvla -Werror -Ihypervisor/include $(HV_EXTRA_CFLAGS)

# Retpolines: guests have trained the predictor of indirect branches. gcc optimises across rooms as well (a tenth fewer
# instructions on hot paths); clang would need its own linker for that.
ifneq ($(findstring clang,$(CC)),)
HV_CODEGEN := -mretpoline
else
HV_CODEGEN := -flto=auto -mindirect-branch=thunk -mindirect-branch-register
endif

$(BUILD)/paravane: hypervisor/boot/paravane.ld $(HV_OBJ)
	$(Q)echo "  LD    $@"
	$(Q)$(CC) $(filter -O2 -g -mcmodel=kernel,$(HV_CFLAGS)) $(HV_CODEGEN) -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,--no-warn-rwx-segments -Wl,-T,$< -o $@ $(HV_OBJ)

$(BUILD)/hypervisor/%.c.o: hypervisor/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) $(HV_CODEGEN) -MMD -MP -c -o $@ $<

$(BUILD)/hypervisor/%.S.o: hypervisor/%.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) $(HV_CODEGEN) -MMD -MP -c -o $@ $<

-include $(HV_OBJ:.o=.d)
