/* SPDX-License-Identifier: MIT */
/* Two guests of one channel that attack each other: what both know, and the steps they take in turn. */
#ifndef FEUD_H
#define FEUD_H

#include <sdk/sdk.h>

#define NR_PORTS 64

/* A page that both write: facts for the next step. Only the kernels themselves need to be right about it. */
struct board {
    volatile uint64_t turn[2]; /* steps taken, by frontend and backend */
    volatile uint64_t session;
    volatile uint64_t mfn[4], entry, table;
    volatile uint32_t port[NR_PORTS];
    volatile unsigned stop, go;
};

extern struct board *board;
extern struct channel ch;
extern grant_entry_v1_t *own_grants; /* this guest's own grants */

/* Taken by one side while the other waits. */
struct step {
    bool by_frontend;
    void (*take)(void);
};
#define FRONT(fn)                                                                                                      \
    { true, fn }
#define BACK(fn)                                                                                                       \
    { false, fn }

extern const struct step grant_steps[], race_steps[], storm_steps[]; /* each ends with no function */

/* Both sides get here before either goes on. Panics if the other has gone. */
void meet(void);

/* Own references to grants of this guest, for the other. */
enum {
    REF_BOARD = 8,
    REF_READ = 16,
    REF_STRANGER,
    REF_TRANSFER,
    REF_NOTHING,
    REF_WRITE,
    REF_SECOND,
    REF_BACK,
    REF_HELD = 32
};

#define WINDOW (SCRATCH_VA + 0x30000000) /* where the other's frames are mapped */

struct mapping {
    unsigned long at;
    uint32_t handle;
};

/* Maps the other's grant in a slot of the window: GNTST_*. */
int16_t map_grant(unsigned slot, grant_ref_t ref, unsigned flags, struct mapping *m);
int16_t unmap_grant(const struct mapping *m);
/* Copies within a page of our own to the other's grant: GNTST_*. */
int16_t copy_to_ref(grant_ref_t ref, const void *from, uint16_t len);
bool refused(const char *name, long rc);
void trapped(const char *name, bool went_through);
/* Clears a page of our own. True if its frame is used in no other way, so that it can be a page table. */
bool is_unused(void *page);

/* Holds frames of the other's and has it hold ours; then the frontend ends. */
void hold_and_end(void);

#endif
