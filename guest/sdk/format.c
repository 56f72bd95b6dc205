// SPDX-License-Identifier: MIT
/*
 * Formatted text: the small part of printf which kernels use.
 */
#include <sdk/console.h>

struct output {
    char *to;
    size_t size, used;
};

struct spec {
    unsigned width;
    bool zero, left, is_long;
};

static void put(struct output *out, char c) {
    if (out->used + 1 < out->size)
        out->to[out->used] = c;
    out->used++;
}

static void put_padded(struct output *out, const struct spec *spec, const char *text, size_t n) {
    size_t pad = spec->width > n ? spec->width - n : 0;

    if (!spec->left)
        for (; pad; pad--)
            put(out, spec->zero ? '0' : ' ');
    while (n--)
        put(out, *text++);
    for (; pad; pad--)
        put(out, ' ');
}

static void put_number(struct output *out, const struct spec *spec, unsigned long value, unsigned base, bool minus) {
    char digits[24];
    size_t at = sizeof(digits);

    do
        digits[--at] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (minus)
        digits[--at] = '-';
    put_padded(out, spec, digits + at, sizeof(digits) - at);
}

static const char *parse_spec(const char *f, struct spec *spec) {
    *spec = (struct spec){0};
    for (; *f == '0' || *f == '-'; f++) {
        spec->zero |= *f == '0';
        spec->left |= *f == '-';
    }
    for (; *f >= '0' && *f <= '9'; f++)
        spec->width = spec->width * 10 + (unsigned)(*f - '0');
    for (; *f == 'l' || *f == 'z'; f++)
        spec->is_long = true;
    return f;
}

static void put_signed(struct output *out, const struct spec *spec, long value) {
    put_number(out, spec, value < 0 ? 0UL - (unsigned long)value : (unsigned long)value, 10, value < 0);
}

int vsnprintf(char *to, size_t size, const char *format, va_list args) {
    struct output out = {to, size, 0};
    struct spec spec;
    const char *s;

    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&out, *f);
            continue;
        }
        f = parse_spec(f + 1, &spec);
        if (*f == 's') {
            s = va_arg(args, const char *);
            put_padded(&out, &spec, s, strlen(s));
        } else if (*f == 'd')
            put_signed(&out, &spec, spec.is_long ? va_arg(args, long) : va_arg(args, int));
        else if (*f == 'u' || *f == 'x')
            put_number(&out, &spec, spec.is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned),
                       *f == 'u' ? 10 : 16, false);
        else if (*f == 'p')
            put_number(&out, &spec, (unsigned long)va_arg(args, void *), 16, false);
        else
            put(&out, *f == 'c' ? (char)va_arg(args, int) : *f);
    }
    if (size)
        to[out.used < size ? out.used : size - 1] = 0;
    return (int)out.used;
}

int snprintf(char *to, size_t size, const char *format, ...) {
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(to, size, format, args);
    va_end(args);
    return n;
}

int printf(const char *format, ...) {
    char line[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    console_write(line, strlen(line));
    return n;
}
