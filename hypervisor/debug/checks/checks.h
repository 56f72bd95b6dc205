/* SPDX-License-Identifier: MIT */
/* What the files of debug/checks share. */
#ifndef DEBUG_CHECKS_H
#define DEBUG_CHECKS_H

#include "../internal.h"

/* faults.c: fault= */
void faults_start(void);

/* locks.c */
void locks_none_held(void);

/* allocs.c: failalloc=, failstart */
void allocs_start(void);

/* audit.c: audit=SECONDS */
void audit_start(void);
/* At the top of the run loop: waits while another CPU counts. */
void audit_park(void);

#endif
