// SPDX-License-Identifier: MIT
/*
 * What ThreadSanitizer is told of volatile accesses, which is how the hypervisor writes READ_ONCE and WRITE_ONCE:
 * nothing. They are meant to race. Everything else is either atomic, under a lock, or a mistake.
 */
#define IGNORED(kind, n)                                                                                               \
    void __tsan_volatile_##kind##n(void *p);                                                                           \
    void __tsan_volatile_##kind##n(void *p) {                                                                          \
        (void)p;                                                                                                       \
    }
#define IGNORED_BOTH(n) IGNORED(read, n) IGNORED(write, n)
IGNORED_BOTH(1)
IGNORED_BOTH(2)
IGNORED_BOTH(4)
IGNORED_BOTH(8)
IGNORED_BOTH(16)
