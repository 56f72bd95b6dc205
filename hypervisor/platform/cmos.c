// SPDX-License-Identifier: MIT
/* Reading the battery clock's registers at a moment when they do not change. What they mean is rtc.c's. */
#include "internal.h"
#include <pv/x86.h>

enum cmos_reg {
    CMOS_SECOND = 0,
    CMOS_MINUTE = 2,
    CMOS_HOUR = 4,
    CMOS_DAY = 7,
    CMOS_MONTH = 8,
    CMOS_YEAR = 9,
    CMOS_A = 10,
    CMOS_B = 11,
    CMOS_CENTURY = 0x32,
};
#define CMOS_UPDATING 0x80
#define CMOS_PORT_ABSENT 0xff

static u8 cmos_read(enum cmos_reg reg) {
    outb(0x70, (u8)reg);
    return inb(0x71);
}

static void read_fields(struct rtc_fields *f) {
    memset(f, 0, sizeof(*f));
    f->second = cmos_read(CMOS_SECOND);
    f->minute = cmos_read(CMOS_MINUTE);
    f->hour = cmos_read(CMOS_HOUR);
    f->day = cmos_read(CMOS_DAY);
    f->month = cmos_read(CMOS_MONTH);
    f->year = cmos_read(CMOS_YEAR);
    f->century = cmos_read(CMOS_CENTURY);
    f->status_b = cmos_read(CMOS_B);
}

/* An update takes up to 2 ms; two equal readings with no update begun between them are a good one. */
u64 platform_read_rtc(void) {
    struct rtc_fields a, b;

    if (platform.no_legacy || cmos_read(CMOS_A) == CMOS_PORT_ABSENT)
        return 0;
    for (u32 tries = 0; tries < 100; tries++) {
        if (cmos_read(CMOS_A) & CMOS_UPDATING) {
            platform_delay_us(50);
            continue;
        }
        read_fields(&a);
        read_fields(&b);
        if (!(cmos_read(CMOS_A) & CMOS_UPDATING) && memcmp(&a, &b, sizeof(a)) == 0)
            return rtc_decode(&a);
    }
    return 0;
}
