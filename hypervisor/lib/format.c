// SPDX-License-Identifier: MIT
// printf-style formatting into a buffer. No floating point, no allocation.
#include <pv/lib.h>

struct out {
    char *buf;
    size_t size, len;
};

struct spec {
    bool zero, left, upper;
    int width, precision, longs;
};

static void put(struct out *o, char c) {
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_padded(struct out *o, const char *s, int len, const struct spec *sp) {
    int pad = sp->width > len ? sp->width - len : 0;

    if (!sp->left)
        for (; pad > 0; pad--)
            put(o, sp->zero ? '0' : ' ');
    for (int i = 0; i < len; i++)
        put(o, s[i]);
    for (; pad > 0; pad--)
        put(o, ' ');
}

static void put_number(struct out *o, u64 v, u32 base, bool negative, const struct spec *sp) {
    const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char buf[24];
    int n = sizeof(buf);

    do
        buf[--n] = digits[v % base];
    while (v /= base);
    if (negative)
        buf[--n] = '-';
    put_padded(o, buf + n, (int)sizeof(buf) - n, sp);
}

static u64 next_unsigned(va_list *ap, const struct spec *sp) {
    if (sp->longs > 0)
        return va_arg(*ap, u64);
    if (sp->longs == -1)
        return (u16)va_arg(*ap, u32);
    if (sp->longs == -2)
        return (u8)va_arg(*ap, u32);
    return va_arg(*ap, u32);
}

static void put_signed(struct out *o, va_list *ap, const struct spec *sp) {
    s64 v = sp->longs > 0 ? va_arg(*ap, s64) : va_arg(*ap, int);

    put_number(o, v < 0 ? -(u64)v : (u64)v, 10, v < 0, sp);
}

static const char *parse_spec(const char *f, struct spec *sp, va_list *ap) {
    *sp = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '0')
            sp->zero = true;
        else if (*f == '-')
            sp->left = true;
        else if (*f != '#')
            break;
    }
    if (*f == '*') {
        sp->width = va_arg(*ap, int);
        f++;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        sp->width = sp->width * 10 + *f - '0';
    if (*f == '.') {
        f++;
        sp->precision = 0;
        if (*f == '*') {
            sp->precision = va_arg(*ap, int);
            f++;
        }
        for (; *f >= '0' && *f <= '9'; f++)
            sp->precision = sp->precision * 10 + *f - '0';
    }
    for (; *f == 'l' || *f == 'z' || *f == 'h'; f++)
        sp->longs += *f == 'h' ? -1 : 1;
    return f;
}

static void put_string(struct out *o, const char *s, const struct spec *sp) {
    s = s ? s : "(null)";
    put_padded(o, s, (int)strnlen(s, sp->precision < 0 ? 65536 : (size_t)sp->precision), sp);
}

static void put_conversion(struct out *o, char c, struct spec *sp, va_list *ap) {
    char one;

    switch (c) {
    case 'd':
    case 'i':
        put_signed(o, ap, sp);
        break;
    case 'u':
        put_number(o, next_unsigned(ap, sp), 10, false, sp);
        break;
    case 'X':
        sp->upper = true;
        __attribute__((fallthrough));
    case 'x':
        put_number(o, next_unsigned(ap, sp), 16, false, sp);
        break;
    case 'p':
        put_number(o, (u64)va_arg(*ap, void *), 16, false, sp);
        break;
    case 's':
        put_string(o, va_arg(*ap, const char *), sp);
        break;
    case 'c':
        one = (char)va_arg(*ap, int);
        put_padded(o, &one, 1, sp);
        break;
    default:
        put(o, c);
    }
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args) {
    struct out o = {buf, size, 0};
    struct spec sp;
    va_list ap;

    va_copy(ap, args);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        fmt = parse_spec(fmt + 1, &sp, &ap);
        if (!*fmt)
            break;
        put_conversion(&o, *fmt, &sp, &ap);
    }
    va_end(ap);
    if (size)
        buf[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...) {
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
