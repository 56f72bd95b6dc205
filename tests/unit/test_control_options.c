// SPDX-License-Identifier: MIT
// sources: launch/control.c boot/options.c
/* How much of the machine the control domain gets, by the options of the command line. */
#include "host.h"
#include <cmocka.h>

#include "../../hypervisor/launch/internal_host.h"
#include <pv/boot.h>
#include <pv/console.h>
#include <pv/mm.h>
#include <pv/platform.h>

#define FREE GiB(4)

struct boot_info boot_info;
struct platform_info platform;
struct page *frame_table;
u64 frame_table_max;

u64 heap_free_count(void) {
    return FREE >> PAGE_SHIFT;
}
void domain_for_each(void (*fn)(struct domain *d, void *arg), void *arg) {
    (void)fn, (void)arg;
}
void domain_pause(struct domain *d) {
    (void)d;
}
void console_drain(void) {}
void platform_delay_us(u32 us) {
    (void)us;
}
void platform_reboot(void) {
    panic("reboot");
}
void platform_power_off(void) {
    panic("power off");
}

static void with(const char *options) {
    boot_info.command_line = options;
}

static void memory(void **state) {
    static const struct {
        const char *options;
        u64 size, most;
    } cases[] = {
        {"", FREE - MiB(128), FREE - MiB(128)},
        {"dom0_mem=512M", MiB(512), MiB(512)},
        {"console=com1 dom0_mem=524288 batch", MiB(512), MiB(512)},
        {"dom0_mem=1G,max:2G", GiB(1), GiB(2)},
        {"dom0_mem=max:2G,1G", GiB(1), GiB(2)},
        {"dom0_mem=max:1G", GiB(1), GiB(1)},
        {"dom0_mem=min:3G,1G", GiB(3), GiB(3)},
        {"dom0_mem=min:3G,1G,max:2G", GiB(2), GiB(2)},
        {"dom0_mem=-1G", GiB(3), GiB(3)},
        {"dom0_mem=-5G,min:1G", GiB(1), GiB(1)},
        {"dom0_mem=1G+50%", GiB(3), GiB(3)},
        {"dom0_mem=50%", GiB(2), GiB(2)},
        {"dom0_mem=5000001B", ALIGN_DOWN(5000001ul, PAGE_SIZE), ALIGN_DOWN(5000001ul, PAGE_SIZE)},
        /* What the host needs to build it stays. */
        {"dom0_mem=100G", FREE - FREE / 256 - MiB(4), FREE - FREE / 256 - MiB(4)},
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        u64 size, slack = MiB(1);

        with(cases[i].options);
        size = control_memory();
        print_message("%s: %lu\n", cases[i].options, (unsigned long)size);
        /* Percents are of a hundredth part, rounded down. */
        assert_in_range(size, cases[i].size - slack, cases[i].size);
        assert_in_range(control_max_pages(size) << PAGE_SHIFT, cases[i].most - slack, cases[i].most);
        assert_int_equal(size % PAGE_SIZE, 0);
    }
}

static void vcpus(void **state) {
    static const struct {
        const char *options;
        u32 cpus, vcpus;
    } cases[] = {
        {"", 6, 6},
        {"dom0_max_vcpus=3", 6, 3},
        {"dom0_max_vcpus=8", 6, 8},
        {"dom0_max_vcpus=4-8", 2, 4},
        {"dom0_max_vcpus=4-8", 6, 6},
        {"dom0_max_vcpus=4-8", 16, 8},
        {"dom0_max_vcpus=4-", 6, 6},
        {"dom0_max_vcpus=0", 6, 1},
        {"dom0_max_vcpus=1000", 6, LAUNCH_MAX_VCPUS},
        {"", 200, LAUNCH_MAX_VCPUS},
    };
    u32 before = nr_cpus;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        with(cases[i].options);
        nr_cpus = cases[i].cpus;
        assert_int_equal(control_vcpus(), cases[i].vcpus);
    }
    nr_cpus = before;
    assert_false(control_is_pinned());
    with("a dom0_vcpus_pin b");
    assert_true(control_is_pinned());
    with("dom0_vcpus_pin=yes");
    assert_true(control_is_pinned());
    with("dom0_vcpus_pin=off b");
    assert_false(control_is_pinned());
}

static void screen(void **state) {
    static union {
        struct start_info si;
        char page[PAGE_SIZE];
    } u;
    const struct dom0_vga_console_info *vga = (void *)(u.page + sizeof(struct start_info));

    (void)state;
    memset(u.page, 0xff, sizeof(u.page));
    platform.no_legacy = false;
    control_fill_start_info(&u.si);
    assert_true(!u.si.store_mfn && !u.si.store_evtchn);
    assert_int_equal(u.si.console.dom0.info_off, sizeof(struct start_info));
    assert_int_equal(u.si.console.dom0.info_size, 14);
    assert_int_equal(vga->video_type, XEN_VGATYPE_TEXT_MODE_3);
    assert_int_equal(vga->u.text_mode_3.columns, 80);
    platform.no_legacy = true;
    control_fill_start_info(&u.si);
    assert_int_equal(u.si.console.dom0.info_size, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),
        cmocka_unit_test(vcpus),
        cmocka_unit_test(screen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
