// SPDX-License-Identifier: MIT
// The control domain (dom0): how much of the machine it gets, by the options of the hypervisor's command line, and what
// its start info has in place of the rings of other guests.
//
//     dom0_mem=[min:SIZE,][max:SIZE,]SIZE   SIZE: 512M, 1G+10%, 25%; negative: all but so much
//     dom0_max_vcpus=N or MIN-MAX
//     dom0_vcpus_pin
//     noreboot                              the machine stays as it is when the control domain has crashed
#include "internal_host.h"

#include <pv/boot.h>
#include <pv/console.h>
#include <pv/gate.h>
#include <pv/mm.h>
#include <pv/platform.h>

#define NO_SIZE (~0ul)
#define LARGEST_RESERVE MiB(128)

struct memory_option {
    u64 least, most, size; /* bytes; size and most NO_SIZE: not given */
};

static u64 all_memory(void) {
    return heap_free_count() << PAGE_SHIFT;
}

/* A number with a unit, KiB if it has none. */
static u64 read_bytes(const char *p, char **end) {
    static const char units[] = "bkmgt";
    u64 n = strtoull(p, end, 0);
    const char *unit = **end ? strchr(units, **end | 0x20) : NULL;

    *end += unit != NULL;
    return n << 10 * (unit ? unit - units : 1);
}

/* The text ends at a comma or the word's end. */
static u64 read_size(const char *p, u64 all) {
    bool negative = *p == '-';
    char *end;
    u64 n, size;

    p += negative;
    n = strtoull(p, &end, 0);
    size = *end == '%' ? all / 100 * n : read_bytes(p, &end);
    if (*end == '+')
        size += all / 100 * strtoull(end + 1, &end, 0);
    return negative ? all - MIN(size, all) : size;
}

static void read_part(const char *p, struct memory_option *o, u64 all) {
    if (!strncmp(p, "min:", 4))
        o->least = read_size(p + 4, all);
    else if (!strncmp(p, "max:", 4))
        o->most = read_size(p + 4, all);
    else
        o->size = read_size(p, all);
}

static struct memory_option read_memory_option(u64 all) {
    struct memory_option o = {0, NO_SIZE, NO_SIZE};
    const char *p;
    int left = boot_option("dom0_mem", &p);

    while (left > 0) {
        int len = 0;

        while (len < left && p[len] != ',')
            len++;
        read_part(p, &o, all);
        p += len + 1;
        left -= len + 1;
    }
    return o;
}

/* What the host needs for its own tables of the domain: its p2m list while it is built, vCPUs, grants. */
static u64 building_needs(u64 all) {
    return all / 256 + MiB(4);
}

u64 control_memory(void) {
    u64 all = all_memory(), reserve = MIN(all / 16, LARGEST_RESERVE);
    struct memory_option o = read_memory_option(all);
    u64 size = o.size != NO_SIZE ? o.size : all - reserve;

    size = MAX(size, o.least);
    if (o.most != NO_SIZE)
        size = MIN(size, o.most);
    return ALIGN_DOWN(MIN(size, all - MIN(all, building_needs(all))), PAGE_SIZE);
}

u64 control_max_pages(u64 size) {
    struct memory_option o = read_memory_option(all_memory());

    return (o.most == NO_SIZE ? size : MAX(size, o.most)) >> PAGE_SHIFT;
}

u32 control_vcpus(void) {
    const char *p;
    u64 least = 1, most = nr_cpus;
    char *end;

    if (boot_option("dom0_max_vcpus", &p) >= 0) {
        least = most = strtoull(p, &end, 10);
        if (*end == '-')
            most = end[1] >= '0' && end[1] <= '9' ? strtoull(end + 1, NULL, 10) : (u64)LAUNCH_MAX_VCPUS;
        most = end[0] == '-' ? MAX(least, MIN(most, (u64)nr_cpus)) : most;
    }
    return (u32)MAX(1ul, MIN(most, (u64)LAUNCH_MAX_VCPUS));
}

bool control_is_pinned(void) {
    return boot_option_flag("dom0_vcpus_pin");
}

#define TEXT_COLUMNS 80
#define TEXT_ROWS 25
#define TEXT_FONT_HEIGHT 16

static u32 fill_pixels(struct dom0_vga_console_info *vga) {
    const struct boot_screen *s = &boot_info.screen;

    vga->video_type = boot_info.efi.tables ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    vga->u.vesa_lfb.width = (u16)s->width;
    vga->u.vesa_lfb.height = (u16)s->height;
    vga->u.vesa_lfb.bytes_per_line = (u16)s->bytes_per_line;
    vga->u.vesa_lfb.bits_per_pixel = s->bits;
    vga->u.vesa_lfb.lfb_base = (u32)s->base;
    vga->u.vesa_lfb.ext_lfb_base = (u32)(s->base >> 32);
    vga->u.vesa_lfb.lfb_size = (u32)(((u64)s->bytes_per_line * s->height + 0xffff) >> 16);
    vga->u.vesa_lfb.red_pos = s->colour[0][0];
    vga->u.vesa_lfb.red_size = s->colour[0][1];
    vga->u.vesa_lfb.green_pos = s->colour[1][0];
    vga->u.vesa_lfb.green_size = s->colour[1][1];
    vga->u.vesa_lfb.blue_pos = s->colour[2][0];
    vga->u.vesa_lfb.blue_size = s->colour[2][1];
    return offsetof(struct dom0_vga_console_info, u) + sizeof(vga->u.vesa_lfb);
}

static u32 fill_text(struct dom0_vga_console_info *vga) {
    vga->video_type = XEN_VGATYPE_TEXT_MODE_3;
    vga->u.text_mode_3.font_height = TEXT_FONT_HEIGHT;
    vga->u.text_mode_3.rows = TEXT_ROWS;
    vga->u.text_mode_3.columns = TEXT_COLUMNS;
    return offsetof(struct dom0_vga_console_info, u) + sizeof(vga->u.text_mode_3);
}

/* The screen as the loader or the firmware left it. */
void control_fill_start_info(struct start_info *si) {
    struct dom0_vga_console_info *vga = (void *)(si + 1);

    si->store_mfn = 0;
    si->store_evtchn = 0;
    memset(&si->console, 0, sizeof(si->console));
    if (platform.no_legacy && !boot_info.screen.width)
        return;
    memset(vga, 0, sizeof(*vga));
    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = boot_info.screen.width ? fill_pixels(vga) : fill_text(vga);
}

#define REBOOT_SECONDS 5 /* for whoever reads the screen */

static void __noreturn stay(void) {
    printk("noreboot: the machine stays as it is\n");
    console_drain();
    for (;;)
        cpu_goes_on();
}

static void __noreturn restart_soon(void) {
    printk("the machine restarts in %u seconds\n", REBOOT_SECONDS);
    console_drain();
    for (u32 i = 0; i < REBOOT_SECONDS * 1000; i++) {
        platform_delay_us(1000);
        cpu_goes_on();
    }
    platform_reboot();
}

/* Nobody else drives the devices: other domains would only lose what they still write. */
static void stop_other(struct domain *d, void *arg) {
    (void)arg;
    if (!d->is_control)
        domain_pause(d);
}

void control_ended(struct domain *d, const char *how) {
    u8 code = d->shutdown_code;

    domain_for_each(stop_other, NULL);
    printk("guest %s %s\n", d->name, how);
    if (code == SHUTDOWN_crash || code == SHUTDOWN_watchdog) {
        if (code == SHUTDOWN_crash)
            domain_print_vcpus(d);
        if (boot_option_flag("noreboot"))
            stay();
        restart_soon();
    }
    console_drain();
    if (code == SHUTDOWN_reboot)
        platform_reboot();
    platform_power_off();
}
