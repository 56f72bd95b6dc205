// SPDX-License-Identifier: MIT
/*
 * Background: a guest may ask for anything, in any state, with any argument; all it may ever harm is itself.
 * Scenario: one attack after the other, each to be refused or made harmless. `attack=<name>` instead runs
 *   one of those that must end this domain (see endings.c), `storm=<name>` one that does not end (storms.c);
 * `only=<group>` runs one group. Good: PASS for each refusal; with `attack=`, the line `ATTACK name` and then the end
 * of this domain only. Bad: FAIL (the attack worked), `SURVIVED name`, or anything happening to others.
 */
#include "hostile.h"

const char kernel_name[] = "hostile";

const unsigned long reserved_addresses[6] = {0xffff810000000000, 0xffff818000001000, 0xffff820000000000,
                                             0xffff82d080200000, 0xffff830000000000, 0xffff87fffffff000};

bool refused(const char *name, long rc) {
    return test_check(name, rc < 0, "not refused, gave %ld", rc);
}

bool trapped(const char *name, const struct probe *p) {
    return test_check(name, p->trapped, "no trap");
}

static const struct {
    const char *name;
    void (*attack)(void);
} groups[] = {
    {"maps", attack_maps},
    {"descriptors", attack_descriptors},
    {"frames", attack_frames},
    {"pointers", attack_pointers},
    {"machine", attack_machine},
    {"resources", attack_resources},
    {"vcpus", attack_vcpus},
    {"freed", attack_freed},
    {"linear", attack_linear},
    {"races", attack_races},
    {"control", attack_control_operations},
};

void kernel_main(void) {
    char name[32] = "";

    if (cmdline_value("attack", name, sizeof(name))) {
        printf("ATTACK %s\n", name);
        console_flush();
        attack_to_the_end(name);
        printf("SURVIVED %s\n", name);
        test_fail(name, "unknown attack, or it did not end the domain");
        return;
    }
    if (cmdline_value("storm", name, sizeof(name))) {
        attack_as_storm(name);
        return;
    }
    cmdline_value("only", name, sizeof(name));
    for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
        if (!name[0] || !strcmp(name, groups[i].name))
            groups[i].attack();
}
