// SPDX-License-Identifier: MIT
/*
 * The least program that a C library starts: what fork + exec + wait executes.
 */
int main(void) {
    return 0;
}
