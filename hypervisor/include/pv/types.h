/* SPDX-License-Identifier: MIT */
/*
 * The base types of Paravane: integers, the boxed frame and address types, page constants and the ABI's errno values.
 *
 * A machine frame, a guest's pseudo-physical frame, a machine address and a guest virtual address are all 64-bit
 * numbers that must never be confused, so each is a struct of its own. Box and unbox at the edges only.
 */
#ifndef PV_TYPES_H
#define PV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef struct {
    u64 n;
} mfn_t; /* machine frame number */
typedef struct {
    u64 n;
} pfn_t; /* guest pseudo-physical frame number */
typedef struct {
    u64 a;
} maddr_t; /* machine (physical) address */
typedef struct {
    u64 a;
} gva_t; /* guest virtual address: never dereferenced, always walked */

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define MFN_INVALID ((mfn_t){~0ul})

static inline mfn_t mfn(u64 n) {
    return (mfn_t){n};
}
static inline maddr_t maddr(u64 a) {
    return (maddr_t){a};
}
static inline gva_t gva(u64 a) {
    return (gva_t){a};
}
static inline pfn_t pfn(u64 n) {
    return (pfn_t){n};
}
static inline mfn_t maddr_to_mfn(maddr_t ma) {
    return (mfn_t){ma.a >> PAGE_SHIFT};
}
static inline maddr_t mfn_to_maddr(mfn_t m) {
    return (maddr_t){m.n << PAGE_SHIFT};
}
static inline bool mfn_eq(mfn_t a, mfn_t b) {
    return a.n == b.n;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define BIT(n) (1ul << (n))
#define KiB(n) ((u64)(n) << 10)
#define MiB(n) ((u64)(n) << 20)
#define GiB(n) ((u64)(n) << 30)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __noreturn __attribute__((noreturn))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __section(s) __attribute__((section(s)))

/* One aligned access, neither torn nor repeated: for everything another CPU or a guest may write meanwhile. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* The ABI's errno values as an enum: EPERM, EINVAL, ... (handlers return them negated). */
#define XEN_ERRNO(name, value) name = value,
enum abi_errno {
#include <xen/errno.h>
    /* Ours alone, never shown to a guest: the operation was preempted, do the same again. */
    ERESTART = 85,
};

#endif
