// SPDX-License-Identifier: MIT
/*
 * The battery clock: decoding its fields (pure), in BCD or binary, 12 or 24 hours, to seconds since 1970.
 */
#include "internal.h"

#define STATUS_B_BINARY 0x04
#define STATUS_B_24H 0x02
#define HOUR_PM 0x80

static u32 decode(const struct rtc_fields *f, u8 raw) {
    return f->status_b & STATUS_B_BINARY ? raw : (raw >> 4) * 10u + (raw & 15);
}

static u32 decode_hour(const struct rtc_fields *f) {
    u32 hour = decode(f, f->hour & (u8)~HOUR_PM);
    if (f->status_b & STATUS_B_24H)
        return decode(f, f->hour);
    return hour % 12 + (f->hour & HOUR_PM ? 12 : 0);
}

static u32 decode_year(const struct rtc_fields *f) {
    u32 year = decode(f, f->year), century = decode(f, f->century);
    if (century >= 19 && century <= 22)
        return century * 100 + year;
    return year + (year < 70 ? 2000 : 1900);
}

/* Days from 1970-01-01 to a date: years counted from March, so that the leap day is a year's last. */
static u64 days_since_epoch(u32 year, u32 month, u32 day) {
    u32 y = month <= 2 ? year - 1 : year;
    u32 day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return y * 365ul + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

u64 rtc_decode(const struct rtc_fields *f) {
    u32 second = decode(f, f->second), minute = decode(f, f->minute), hour = decode_hour(f);
    u32 day = decode(f, f->day), month = decode(f, f->month), year = decode_year(f);

    if (second > 59 || minute > 59 || hour > 23 || !day || day > 31 || !month || month > 12 || year < 1970)
        return 0;
    return ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}
