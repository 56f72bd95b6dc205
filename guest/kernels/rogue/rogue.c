// SPDX-License-Identifier: MIT
/*
 * Background: a guest's disk and network card are served by drivers in the control domain, by memory that both write
 *   and grants that the guest makes and takes away.
 * Scenario: a guest of a toolstack with one disk, xvda, and one card. Each is connected as any frontend would, and then
 *   misused: with `attack=0` by single wrong requests, with 1 by grants that go away, with 2 by rings full of nonsense;
 *   with 3 the domain crashes while requests are under way.
 * Good: sane requests before and after wrong ones are served, wrong ones are refused; the control domain and the other
 *   guests go on, and nothing is left when this one is gone (which is for others to see). Bad: a FAIL line, silence.
 */
#include "rogue.h"

const char kernel_name[] = "rogue";

void kernel_main(void) {
    unsigned attack = (unsigned)cmdline_number("attack", 0) % 4;

    attack_disk("device/vbd/51712", attack);
    attack_net("device/vif/0", attack);
}
