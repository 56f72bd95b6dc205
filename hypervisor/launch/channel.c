// SPDX-License-Identifier: MIT
/* Channels between guests: the values of both sides, who may read and write them, and whom a change concerns. */
#include <pv/launch_channel.h>

#include "internal.h"

static const char *const value_names[LAUNCH_CHANNEL_VALUES] = {"ring-ref", "event-channel", "state"};
static const char *const role_names[2] = {"frontend", "backend"};

/* What a path means: a leaf ("": the channel itself) of one side of a channel that the asking guest has part in. */
struct place {
    uint32_t channel, side, mine; /* mine: the side of who asks */
    const char *leaf;
};

/* --- text --- */

static bool skip(const char **at, const char *prefix) {
    const char *p = *at;

    while (*prefix && *p == *prefix) {
        p++;
        prefix++;
    }
    if (*prefix)
        return false;
    *at = p;
    return true;
}

static bool is_text(const char *text, const char *word) {
    return launch_span_is((struct span){text, launch_text_len(text)}, word);
}

/* Appends a text; the length, as far as it fits. */
static size_t append(char *buf, size_t size, size_t at, const char *text) {
    while (*text && at < size)
        buf[at++] = *text++;
    return at;
}

/* A text with its NUL behind what is there; `at` again if it does not fit. */
static size_t append_whole(char *buf, size_t size, size_t at, const char *text) {
    size_t end = append(buf, size, at, text);

    if (end >= size)
        return at;
    buf[end] = 0;
    return end + 1;
}

/* --- the table --- */

static struct launch_channel *find_name(struct launch_channels *channels, const char *name) {
    for (uint32_t i = 0; i < channels->nr; i++)
        if (is_text(name, channels->channel[i].name))
            return &channels->channel[i];
    return NULL;
}

#define NOBODY LAUNCH_MAX_GUESTS

/* A guest's word for a channel: the first to say it has the frontend, the second the backend. */
static void add_end(struct launch_channels *channels, uint32_t guest, const char *name) {
    struct launch_channel *ch = find_name(channels, name);

    if (!ch) {
        ch = &channels->channel[channels->nr++];
        *ch = (struct launch_channel){.end = {{.guest = NOBODY}, {.guest = NOBODY}}};
        append(ch->name, sizeof(ch->name) - 1, 0, name);
    }
    ch->end[ch->end[0].guest != NOBODY].guest = guest;
}

void launch_channels_init(struct launch_channels *channels, const struct launch_plan *plan) {
    channels->nr = 0;
    for (uint32_t guest = 0; guest < plan->nr_guests; guest++)
        for (uint32_t i = 0; i < plan->guests[guest].nr_channels; i++)
            add_end(channels, guest, plan->guests[guest].channel[i]);
}

static void mark_due(struct launch_channel_end *end) {
    end->due = end->watched;
}

static void forget_values(struct launch_channel_end *end) {
    for (uint32_t i = 0; i < LAUNCH_CHANNEL_VALUES; i++)
        end->value[i][0] = 0;
}

static void join(struct launch_channel *ch, uint32_t side, uint32_t domid) {
    struct launch_channel_end *mine = &ch->end[side], *other = &ch->end[!side];

    mine->domid = domid;
    mine->watched = mine->due = false;
    forget_values(mine);
    forget_values(other);
    mark_due(other);
}

void launch_channels_join(struct launch_channels *channels, uint32_t guest, uint32_t domid) {
    for (uint32_t i = 0; i < channels->nr; i++)
        for (uint32_t side = 0; side < 2; side++)
            if (channels->channel[i].end[side].guest == guest)
                join(&channels->channel[i], side, domid);
}

/* --- paths --- */

/* "/local/domain/N/": the N, and what follows. */
static bool skip_home(const char **at, uint32_t *domid) {
    struct span digits;
    uint64_t n;

    if (!skip(at, "/local/domain/"))
        return false;
    digits = (struct span){*at, 0};
    while (launch_is_digit(**at)) {
        (*at)++;
        digits.len++;
    }
    if (!launch_span_number(digits, UINT16_MAX, &n) || !skip(at, "/"))
        return false;
    *domid = (uint32_t)n;
    return true;
}

static bool find_side(const struct launch_channel *ch, uint32_t guest, uint32_t domid, struct place *p) {
    for (p->mine = 0; p->mine < 2; p->mine++)
        if (ch->end[p->mine].guest == guest)
            break;
    if (p->mine == 2)
        return false;
    p->side = p->mine;
    if (domid && ch->end[p->mine].domid != domid)
        p->side = !p->mine;
    return !domid || ch->end[p->side].domid == domid;
}

static bool find_place(const struct launch_channels *channels, uint32_t guest, const char *path, struct place *p) {
    struct span name;
    uint32_t domid = 0;

    if (*path == '/' && (!skip_home(&path, &domid) || !domid))
        return false;
    if (!skip(&path, "channel/"))
        return false;
    name = (struct span){path, 0};
    while (path[name.len] && path[name.len] != '/')
        name.len++;
    p->leaf = path[name.len] ? path + name.len + 1 : "";
    for (p->channel = 0; p->channel < channels->nr; p->channel++)
        if (launch_span_is(name, channels->channel[p->channel].name))
            return find_side(&channels->channel[p->channel], guest, domid, p);
    return false;
}

/* The value that a leaf names, or NULL. */
static char *value_at(struct launch_channel_end *end, const char *leaf) {
    for (uint32_t i = 0; i < LAUNCH_CHANNEL_VALUES; i++)
        if (is_text(leaf, value_names[i]))
            return end->value[i];
    return NULL;
}

/* --- what the store asks --- */

static void home_path(char *buf, size_t size, const struct launch_channel *ch, uint32_t side) {
    char home[40];
    size_t at;

    launch_format_count(home, sizeof(home), "/local/domain/", ch->end[side].domid, "/channel/");
    at = append(buf, size, 0, home);
    append_whole(buf, size, at, ch->name);
}

/* "" where there is nothing. */
static void describe(const struct launch_channel *ch, const struct place *p, char *buf, size_t size) {
    uint32_t other = ch->end[!p->side].domid;
    const char *value = value_at((struct launch_channel_end *)&ch->end[p->side], p->leaf);

    buf[0] = 0;
    if (value)
        append_whole(buf, size, 0, value);
    else if (is_text(p->leaf, "role"))
        append_whole(buf, size, 0, role_names[p->side]);
    else if (is_text(p->leaf, "peer-id") && other)
        launch_format_count(buf, size, "", other, "");
    else if (is_text(p->leaf, "peer") && other)
        home_path(buf, size, ch, !p->side);
}

int launch_channels_read(const struct launch_channels *channels, uint32_t guest, const char *path, char *value,
                         size_t size) {
    char text[LAUNCH_NAME_SIZE + 40];
    struct place p;
    size_t len;

    if (!find_place(channels, guest, path, &p))
        return -1;
    describe(&channels->channel[p.channel], &p, text, sizeof(text));
    len = launch_text_len(text);
    append(value, size, 0, text);
    return len && len <= size ? (int)len : -1;
}

int launch_channels_list(const struct launch_channels *channels, uint32_t guest, const char *path, char *names,
                         size_t size) {
    size_t at = 0;

    if (!is_text(path, "channel"))
        return -1;
    for (uint32_t i = 0; i < channels->nr; i++)
        if (channels->channel[i].end[0].guest == guest || channels->channel[i].end[1].guest == guest)
            at = append_whole(names, size, at, channels->channel[i].name);
    return at ? (int)at : -1;
}

bool launch_channels_write(struct launch_channels *channels, uint32_t guest, const char *path, const char *value,
                           size_t len) {
    struct launch_channel *ch;
    struct place p;
    char *to;

    if (!find_place(channels, guest, path, &p) || p.side != p.mine)
        return false;
    ch = &channels->channel[p.channel];
    to = value_at(&ch->end[p.mine], p.leaf);
    if (!to || !launch_span_copy((struct span){value, len}, to, LAUNCH_CHANNEL_VALUE_SIZE))
        return false;
    mark_due(&ch->end[!p.mine]);
    return true;
}

void launch_channels_watch(struct launch_channels *channels, uint32_t guest, const char *path, const char *token,
                           bool on) {
    struct launch_channel_end *end;
    struct place p;
    size_t len;

    if (!find_place(channels, guest, path, &p) || p.side != p.mine || p.leaf[0])
        return;
    end = &channels->channel[p.channel].end[p.mine];
    len = append(end->token, sizeof(end->token) - 1, 0, token);
    end->token[len] = 0;
    end->watched = end->due = on;
}

/* The end of this channel where the guest has an event due, or NULL. */
static struct launch_channel_end *end_due(struct launch_channel *ch, uint32_t guest) {
    for (uint32_t side = 0; side < 2; side++)
        if (ch->end[side].guest == guest && ch->end[side].due)
            return &ch->end[side];
    return NULL;
}

uint32_t launch_channels_next_due(struct launch_channels *channels, int guest) {
    uint32_t next = NOBODY;

    for (uint32_t i = 0; i < 2 * channels->nr; i++) {
        const struct launch_channel_end *end = &channels->channel[i / 2].end[i % 2];

        if (end->due && (int)end->guest > guest && end->guest < next)
            next = end->guest;
    }
    return next;
}

int launch_channels_next_event(struct launch_channels *channels, uint32_t guest, char *event, size_t size) {
    for (uint32_t i = 0; i < channels->nr; i++) {
        struct launch_channel *ch = &channels->channel[i];
        struct launch_channel_end *end = end_due(ch, guest);
        size_t at;

        if (!end)
            continue;
        end->due = false;
        at = append(event, size, 0, "channel/");
        at = append_whole(event, size, at, ch->name);
        return (int)append_whole(event, size, at, end->token);
    }
    return 0;
}
