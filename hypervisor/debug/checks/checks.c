// SPDX-License-Identifier: MIT
// Where debug builds start their checks.
#include "checks.h"

void debug_start_checks(void) {
    printk("debug build: it checks itself, and is slower for it\n");
    faults_start();
}
