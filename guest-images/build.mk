# SPDX-License-Identifier: MIT
# The ramdisk of the Linux guests. Gives IMAGES, what to build. busybox comes from scripts/prepare-guests.

PARAVANE_CACHE ?= $(BUILD)/cache
IMAGES := $(BUILD)/images/linux.cpio.gz

STRESS_SOURCES := $(wildcard guest-images/linux/stress/*.c)
STRESS_CFLAGS := -std=gnu11 -O2 -static -no-pie -pthread -Wall -Wextra -Wshadow -Werror

$(BUILD)/images/stress: $(STRESS_SOURCES) guest-images/linux/stress/stress.h guest-images/build.mk
	@mkdir -p $(@D)
	gcc -m64 $(STRESS_CFLAGS) -o $@ $(STRESS_SOURCES)

$(BUILD)/images/stress32: $(STRESS_SOURCES) guest-images/linux/stress/stress.h guest-images/build.mk
	@mkdir -p $(@D)
	gcc -m32 -msse2 -mfpmath=sse $(STRESS_CFLAGS) -o $@ $(STRESS_SOURCES)

$(PARAVANE_CACHE)/busybox:
	PARAVANE_CACHE=$(PARAVANE_CACHE) BUILD=$(BUILD) scripts/prepare-guests busybox

$(BUILD)/images/linux.cpio.gz: $(PARAVANE_CACHE)/busybox $(BUILD)/images/stress $(BUILD)/images/stress32 \
		guest-images/linux/init guest-images/linux/profile guest-images/linux/make-ramdisk
	@mkdir -p $(@D)
	guest-images/linux/make-ramdisk --busybox $(PARAVANE_CACHE)/busybox $@ \
		test/stress=$(BUILD)/images/stress test/stress32=$(BUILD)/images/stress32

.PHONY: images
images: $(IMAGES)
