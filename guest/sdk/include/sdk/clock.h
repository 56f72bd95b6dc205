/* SPDX-License-Identifier: MIT */
/*
 * Time: the system time the hypervisor publishes, wall-clock time, and one timer for each vCPU.
 */
#ifndef SDK_CLOCK_H
#define SDK_CLOCK_H

#include <sdk/event.h>

#define SECOND 1000000000UL
#define MILLISECOND 1000000UL

/* Nanoseconds of system time. */
uint64_t clock_now(void);
uint64_t clock_wall_seconds(void);
uint64_t clock_tsc_khz(void);
/* Binds the timer event of the calling vCPU (done for vCPU 0 at start). */
void clock_init_cpu(void);
/* Blocks the vCPU until then. */
void clock_sleep_until(uint64_t when);
void clock_sleep(uint64_t ns);
/* With events off: blocks until then, or until an event; they are off again. */
void clock_doze(uint64_t until);
/* Waits with events enabled until *flag is not zero: true, or false after `ns`. */
bool clock_wait_for(const volatile unsigned *flag, uint64_t ns);

#endif
