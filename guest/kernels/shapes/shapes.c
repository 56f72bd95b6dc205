// SPDX-License-Identifier: MIT
/*
 * Background: kernels tell the domain builder about themselves in several ways, all in use.
 * Scenario: the same code with different notes: high and low virtual base, entry from a note or the ELF
 *   header, hypercall page by address or by number, p2m at a place of its own, features as text or as bits.
 * Good: it starts, and finds its memory where its notes asked for it. Bad: it does not start.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "shapes";

/* Set by the notes that ask for a p2m of its own; 0 otherwise. */
extern const unsigned long shape_p2m;

void kernel_main(void) {
    unsigned long bad = 0;

    printf("shapes: base 0x%lx, image at 0x%lx, p2m at 0x%lx\n", ARG(kernel_virt_base), ARG(image_start),
           start_info->mfn_list);
    test_check("shape.start_info", !strncmp(start_info->magic, "xen-3.", 6), "\"%s\"", start_info->magic);
    test_check("shape.image_mapped", pt_entry(ARG(image_start), 1) != NULL, "no mapping");
    test_equal("shape.image_frame", (long)(*pt_entry(ARG(image_start), 1) >> PAGE_SHIFT & 0xffffffffff),
               (long)virt_to_mfn(image_start));
    if (shape_p2m)
        test_equal("shape.p2m_place", (long)start_info->mfn_list, (long)shape_p2m);
    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
        bad += mfn_to_pfn(pfn_to_mfn(pfn)) != pfn;
    test_equal("shape.p2m", (long)bad, 0);
    clock_sleep(MILLISECOND);
    test_pass("shape.events");
}
