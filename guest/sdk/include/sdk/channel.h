/* SPDX-License-Identifier: MIT */
/*
 * Channels: a byte stream each way between this guest and another, over a page that one of them grants and an event
 * channel. The two find each other in their stores, under channel/NAME; which of them offers the page is said there.
 * For vCPU 0. What the other side writes into the page is not believed: at worst the bytes are not what was sent.
 *
 *     waiting --the other is there, page and port agreed on--> connected --the other went--> waiting
 */
#ifndef SDK_CHANNEL_H
#define SDK_CHANNEL_H

#include <sdk/memory.h>

#define CHANNEL_RING_SIZE 1024

/* One direction; the producer writes prod and data, the consumer cons. Free-running indices. */
struct channel_ring {
    uint32_t prod, cons;
    uint8_t pad[56];
    uint8_t data[CHANNEL_RING_SIZE];
};

struct channel_page {
    struct channel_ring to_back, to_front;
};

struct channel {
    char name[32];
    bool is_frontend, connected;
    domid_t peer; /* 0: none */
    char peer_path[80];
    struct channel_page *page; /* agreed on with peer, or NULL */
    grant_ref_t ref;
    uint32_t handle; /* the backend's mapping */
    unsigned port;
    struct channel_ring *out, *in;
    unsigned index, looked;
};

/* 0, or a negative errno: there is no such channel. Name NULL: the first that this guest has. */
long channel_open(struct channel *ch, const char *name);
/* Takes the next step to a connection, or away from a peer that went. True: connected. Never blocks for long. */
bool channel_poll(struct channel *ch);
/* Blocks until there is a connection or the time is over. */
bool channel_wait(struct channel *ch, uint64_t ns);
/* Tells the other that we are done, and lets go of page and port. */
void channel_close(struct channel *ch);

/* As many bytes as there is room for, or are there; 0 if not connected. The other is woken. */
size_t channel_send(struct channel *ch, const void *bytes, size_t n);
size_t channel_receive(struct channel *ch, void *bytes, size_t n);
/* Blocks until an event comes that is newer than the last return from here, at most so long. Whoever looks at
 * everything in between misses nothing. */
void channel_block(struct channel *ch, uint64_t ns);

#endif
