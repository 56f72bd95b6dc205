/* SPDX-License-Identifier: MIT */
/*
 * Channels: what two guests with the same `channel = NAME` are told about each other, as paths of their stores. For
 * each guest, relative to its own place in the store (/local/domain/<its id>):
 *
 *     channel                      (directory) the names of its channels
 *     channel/NAME/role            frontend: the first of the two in the file; backend: the other
 *     channel/NAME/peer-id         the other's domain id; nothing while the other is not there
 *     channel/NAME/peer            the other's side, as an absolute path
 *     channel/NAME/ring-ref        these three are the guest's to write, and the other's to read: the grant of the
 *     channel/NAME/event-channel   shared page, an unbound port, and how far it has come, as the ABI's other
 *     channel/NAME/state           frontends and backends do (xen/io/xenbus.h)
 *
 * A watch on channel/NAME, of which a guest has one for each channel, fires when it is set and whenever the other
 * side changes. When a guest comes or goes, the values of both sides are forgotten.
 *
 * Pure, and without a lock: one caller at a time. Guests are named by their index in the plan.
 */
#ifndef PV_LAUNCH_CHANNEL_H
#define PV_LAUNCH_CHANNEL_H

#include <pv/launch.h>

#define LAUNCH_MAX_CHANNELS (LAUNCH_MAX_GUESTS * LAUNCH_GUEST_CHANNELS / 2)
#define LAUNCH_CHANNEL_VALUES 3
#define LAUNCH_CHANNEL_VALUE_SIZE 16
#define LAUNCH_CHANNEL_TOKEN_SIZE 32

struct launch_channel_end {
    uint32_t guest;
    uint32_t domid; /* 0: not there */
    char value[LAUNCH_CHANNEL_VALUES][LAUNCH_CHANNEL_VALUE_SIZE];
    char token[LAUNCH_CHANNEL_TOKEN_SIZE];
    bool watched, due; /* due: only if watched */
};

struct launch_channel {
    char name[LAUNCH_NAME_SIZE];
    struct launch_channel_end end[2];
};

/* The caller's, about 60 KiB. */
struct launch_channels {
    uint32_t nr;
    struct launch_channel channel[LAUNCH_MAX_CHANNELS];
};

/* Those of the plan that two of its guests name. */
void launch_channels_init(struct launch_channels *channels, const struct launch_plan *plan);
/* The guest starts with this domain id, or ends (0). */
void launch_channels_join(struct launch_channels *channels, uint32_t guest, uint32_t domid);

/* As struct launch_store_ops has it; only paths that begin with `channel`, or are absolute, mean anything here. */
int launch_channels_read(const struct launch_channels *channels, uint32_t guest, const char *path, char *value,
                         size_t size);
int launch_channels_list(const struct launch_channels *channels, uint32_t guest, const char *path, char *names,
                         size_t size);
bool launch_channels_write(struct launch_channels *channels, uint32_t guest, const char *path, const char *value,
                           size_t len);
void launch_channels_watch(struct launch_channels *channels, uint32_t guest, const char *path, const char *token,
                           bool on);
/* The next guest after `guest` with an event due; LAUNCH_MAX_GUESTS: none. To start with: -1. */
uint32_t launch_channels_next_due(struct launch_channels *channels, int guest);
int launch_channels_next_event(struct launch_channels *channels, uint32_t guest, char *event, size_t size);

#endif
