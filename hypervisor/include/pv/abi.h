/* SPDX-License-Identifier: MIT */
/*
 * The Xen PV ABI, from Debian's libxen-dev (/usr/include/xen) as it is, at the latest interface version and with
 * the toolstack's part visible. Every room includes the ABI through this header only.
 */
#ifndef PV_ABI_H
#define PV_ABI_H

#define __XEN_INTERFACE_VERSION__ 0x00041100
#define __XEN_TOOLS__ 1
#define __XEN_UNSTABLE__ 1

#include <pv/types.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#endif
