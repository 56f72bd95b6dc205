// SPDX-License-Identifier: MIT
/*
 * The reader of launch files: lines, sections, and `key = value`. What values mean is in keys.c, what the machine must
 * have for a plan in check.c.
 */
#include "internal.h"

struct parser {
    const char *file;
    uint32_t line;
    struct launch_plan *plan;
    struct launch_guest *guest; /* the open section, or NULL: before the first, or in one that is skipped whole */
    bool skipping;              /* a section is open but its header was wrong: its keys are not looked at */
    uint32_t seen;              /* keys given in the open section, by index */
    int problems;
    launch_report_fn report;
    void *arg;
};

static const struct span nothing = {NULL, 0};

static void complain_at(struct parser *ps, uint32_t line, const char *key, const char *expected, struct span found) {
    struct launch_problem problem = {
        .file = ps->file,
        .line = line,
        .guest = ps->guest ? ps->guest->name : "",
        .key = key,
        .expected = expected,
        .found = found.p,
        .found_len = found.len,
    };

    ps->problems++;
    if (ps->guest)
        ps->guest->bad = true;
    if (ps->report)
        ps->report(ps->arg, &problem);
}

static void complain(struct parser *ps, const char *key, const char *expected, struct span found) {
    complain_at(ps, ps->line, key, expected, found);
}

static void close_section(struct parser *ps) {
    if (ps->guest && !ps->guest->kernel[0] && !ps->guest->bad)
        complain_at(ps, ps->guest->line, "kernel", launch_keys[0].expected, nothing);
    ps->guest = NULL;
}

static bool name_is_taken(const struct launch_plan *plan, struct span name) {
    for (size_t i = 0; i < plan->nr_guests; i++)
        if (launch_span_is(name, plan->guests[i].name))
            return true;
    return false;
}

static void open_section(struct parser *ps, struct span text) {
    struct span name = {text.p + 1, text.len - 1};

    close_section(ps);
    ps->skipping = true;
    if (name.len == 0 || name.p[name.len - 1] != ']') {
        complain(ps, "", "a section header such as [name]", text);
        return;
    }
    name.len--;
    name = launch_span_trim(name);
    if (!launch_name_is_good(name)) {
        complain(ps, "", "a guest's name of 1 to 31 letters, digits and - _ . +", name);
        return;
    }
    if (name_is_taken(ps->plan, name)) {
        complain(ps, "", "a name that no other section has", name);
        return;
    }
    if (ps->plan->nr_guests == LAUNCH_MAX_GUESTS) {
        complain(ps, "", "at most 128 guests", name);
        return;
    }
    ps->guest = &ps->plan->guests[ps->plan->nr_guests++];
    launch_guest_init(ps->guest, ps->line);
    launch_span_copy(name, ps->guest->name, sizeof(ps->guest->name));
    ps->skipping = false;
    ps->seen = 0;
}

/* A quoted value is what stands between the quotes, blanks and # included; nothing may follow. */
static bool unquote(struct span *value) {
    size_t end = 1;

    if (value->len == 0 || value->p[0] != '"')
        return true;
    while (end < value->len && value->p[end] != '"')
        end++;
    if (end + 1 != value->len)
        return false;
    *value = (struct span){value->p + 1, end - 1};
    return true;
}

static void set_key(struct parser *ps, struct span key, struct span value) {
    for (size_t i = 0; i < launch_nr_keys; i++) {
        const struct launch_key *k = &launch_keys[i];

        if (!launch_span_is(key, k->name))
            continue;
        if (ps->seen & (1u << i)) {
            complain(ps, k->name, "this key only once in a section", value);
            return;
        }
        ps->seen |= 1u << i;
        if (!unquote(&value))
            complain(ps, k->name, "nothing after the closing quote, and one to be there", value);
        else if (!k->set(ps->guest, value, ps->line))
            complain(ps, k->name, k->expected, value);
        return;
    }
    complain(ps, "", "a known key", key);
}

static void parse_setting(struct parser *ps, struct span text) {
    struct span key = text, value;
    size_t eq = 0;

    while (eq < text.len && text.p[eq] != '=')
        eq++;
    if (eq == text.len) {
        complain(ps, "", "[name], key = value, or a # comment", text);
        return;
    }
    if (!ps->guest) {
        complain(ps, "", "a [section] before the first key", text);
        return;
    }
    key.len = eq;
    value = (struct span){text.p + eq + 1, text.len - eq - 1};
    set_key(ps, launch_span_trim(key), launch_span_trim(value));
}

/* A comment starts with # at the start of a line or after a blank, outside a quoted value. */
static struct span cut_comment(struct span text) {
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '"')
            quoted = !quoted;
        else if (text.p[i] == '#' && !quoted && (i == 0 || launch_is_blank(text.p[i - 1])))
            text.len = i;
    }
    return text;
}

static bool is_printable(struct span text) {
    for (size_t i = 0; i < text.len; i++)
        if ((text.p[i] < ' ' && text.p[i] != '\t') || text.p[i] == 0x7f)
            return false;
    return true;
}

static void parse_line(struct parser *ps, struct span text) {
    if (text.len && text.p[text.len - 1] == '\r')
        text.len--;
    text = launch_span_trim(cut_comment(text));
    if (text.len == 0)
        return;
    if (!is_printable(text))
        complain(ps, "", "printable ASCII text", text);
    else if (text.p[0] == '[')
        open_section(ps, text);
    else if (!ps->skipping)
        parse_setting(ps, text);
}

void launch_plan_compact(struct launch_plan *plan) {
    size_t kept = 0;

    for (size_t i = 0; i < plan->nr_guests; i++) {
        if (plan->guests[i].bad)
            continue;
        if (kept != i)
            plan->guests[kept] = plan->guests[i];
        kept++;
    }
    plan->nr_guests = kept;
}

static uint32_t count_channel(const struct launch_plan *plan, const char *name) {
    const struct span want = {name, launch_text_len(name)};
    uint32_t n = 0;

    for (size_t i = 0; i < plan->nr_guests; i++)
        for (uint32_t c = 0; c < plan->guests[i].nr_channels; c++)
            n += launch_span_is(want, plan->guests[i].channel[c]);
    return n;
}

/* Before any guest is left out: the other of a pair is not to blame for that, and does without. */
static void check_channels(struct parser *ps) {
    for (size_t i = 0; i < ps->plan->nr_guests; i++) {
        ps->guest = &ps->plan->guests[i];
        for (uint32_t c = 0; c < ps->guest->nr_channels; c++) {
            const char *name = ps->guest->channel[c];

            if (count_channel(ps->plan, name) != 2)
                complain_at(ps, ps->guest->channel_line, "channel", "a name that exactly one other section has as well",
                            (struct span){name, launch_text_len(name)});
        }
    }
    ps->guest = NULL;
}

int launch_parse(const char *text, size_t len, const char *file, struct launch_plan *plan, launch_report_fn report,
                 void *arg) {
    struct parser ps = {.file = file, .plan = plan, .report = report, .arg = arg};
    size_t start = 0;

    plan->nr_guests = 0;
    if (len > LAUNCH_MAX_TEXT) {
        complain(&ps, "", "a file of at most 256 KiB", nothing);
        return ps.problems;
    }
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '\n')
            continue;
        ps.line++;
        parse_line(&ps, (struct span){text + start, i - start});
        start = i + 1;
    }
    close_section(&ps);
    check_channels(&ps);
    launch_plan_compact(plan);
    return ps.problems;
}
