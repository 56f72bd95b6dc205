/* SPDX-License-Identifier: MIT */
/* Everything a kernel needs, in one include. */
#ifndef SDK_SDK_H
#define SDK_SDK_H

#include <sdk/channel.h>
#include <sdk/clock.h>
#include <sdk/console.h>
#include <sdk/cpu.h>
#include <sdk/event.h>
#include <sdk/grant.h>
#include <sdk/hypercall.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/store.h>
#include <sdk/test.h>
#include <sdk/trap.h>
#include <sdk/types.h>
#include <sdk/user.h>

#endif
