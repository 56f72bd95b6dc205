/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else: no symbol is ever reached through a table of addresses, so that the same
 * code links at any address.
 */
#pragma GCC visibility push(hidden)
