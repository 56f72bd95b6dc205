/* SPDX-License-Identifier: MIT */
/*
 * Grant table, version 1: the table's setup and entries; mapping and copying go through hv_grant_table_op.
 */
#ifndef SDK_GRANT_H
#define SDK_GRANT_H

#include <sdk/memory.h>

/* The first frames of this domain's table, mapped; NULL if refused, *status then says why. */
grant_entry_v1_t *grant_init(unsigned frames, int16_t *status);
/* The same again. */
grant_entry_v1_t *grant_table(void);
void grant_access(grant_ref_t ref, domid_t dom, unsigned long mfn, bool read_only);
/* False while the grant is still in use. */
bool grant_end(grant_ref_t ref);

#endif
