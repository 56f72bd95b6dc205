// SPDX-License-Identifier: MIT
/*
 * Background: a frame that another domain maps outlives its owner, who must not have to wait for that.
 * Scenario: with `give=1` a page is granted to every domain, and the kernel ends after `seconds=N`, as `on_end` says.
 *   Without, the kernel maps the page of whoever gives one, and lets it go after `seconds=N`.
 * Good: the giver starts again while its page is held; the page keeps its content, and is freed when it is let go.
 * Bad: a giver that does not come back, or a page that somebody else got meanwhile.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "holder";

#define FIRST_REF 100
#define DOMAINS 250
#define SELF_REF 20
#define MAP_VA (SCRATCH_VA + 0x600000)
#define CONTENT 0x1dea5e1f15a11a5dUL

static int16_t map(domid_t dom, grant_ref_t ref, uint32_t *handle) {
    struct gnttab_map_grant_ref op = {.host_addr = MAP_VA, .flags = GNTMAP_host_map, .ref = ref, .dom = dom};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    *handle = op.handle;
    return op.status;
}

static int16_t unmap(uint32_t handle) {
    struct gnttab_unmap_grant_ref op = {.host_addr = MAP_VA, .handle = handle};

    hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    return op.status;
}

static void give(void) {
    volatile unsigned long *page = page_alloc();

    page[0] = CONTENT;
    for (unsigned id = 0; id < DOMAINS; id++)
        grant_access(FIRST_REF + id, (domid_t)id, virt_to_mfn((void *)page), false);
    printf("GIVING\n");
    clock_sleep(cmdline_number("seconds", 1) * SECOND);
}

/* A domain is not told its number: a page granted to one after the other tells. */
static domid_t find_self(void) {
    unsigned long mfn = virt_to_mfn(page_alloc());
    uint32_t handle;

    for (domid_t id = 0; id < DOMAINS; id++) {
        grant_access(SELF_REF, id, mfn, false);
        if (map(id, SELF_REF, &handle) == GNTST_okay) {
            unmap(handle);
            grant_end(SELF_REF);
            return id;
        }
    }
    return DOMID_INVALID;
}

static bool find_giver(domid_t self, uint32_t *handle) {
    for (unsigned tries = 0; tries < 1000; tries++) {
        for (domid_t id = 0; id < DOMAINS; id++)
            if (id != self && map(id, FIRST_REF + self, handle) == GNTST_okay)
                return true;
        clock_sleep(10 * MILLISECOND);
    }
    return false;
}

static void hold(void) {
    volatile unsigned long *page = (void *)MAP_VA;
    domid_t self;
    uint32_t handle = 0;

    pt_make(MAP_VA);
    self = find_self();
    if (!test_check("holder.found", find_giver(self, &handle), "nobody gives"))
        return;
    test_equal("holder.content", (long)page[0], (long)CONTENT);
    printf("HOLDING\n");
    clock_sleep(cmdline_number("seconds", 1) * SECOND);
    test_equal("holder.content_kept", (long)page[0], (long)CONTENT);
    test_equal("holder.unmap", unmap(handle), GNTST_okay);
    printf("LET GO\n");
    clock_sleep(SECOND);
}

void kernel_main(void) {
    int16_t status = 0;
    bool granted = grant_init(1, &status);

    if (!test_check("holder.table", granted, "status %d", status))
        return;
    if (cmdline_number("give", 0))
        give();
    else
        hold();
}
