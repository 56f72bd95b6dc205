/* SPDX-License-Identifier: MIT */
/*
 * Ring 3: pages user code can reach, and running it until it comes back by system call, interrupt or fault.
 */
#ifndef SDK_USER_H
#define SDK_USER_H

#include <sdk/memory.h>
#include <sdk/trap.h>

/* Copies code to a fresh page mapped at va for user mode in `root`. Returns the page. */
void *user_map_code(uint64_t *root, unsigned long va, const void *code, size_t n);
void *user_map_data(uint64_t *root, unsigned long va);
void user_regs_init(struct regs *regs, unsigned long rip, unsigned long rsp);
/* Leaves through the iret hypercall; returns when something brings the vCPU back, p tells what. */
void user_run(struct probe *p, struct regs *regs);

#endif
