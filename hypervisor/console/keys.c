// SPDX-License-Identifier: MIT
/* Ctrl-] and the key after it: which command that is. Everything else is input for the guest in focus. */
#include "internal.h"

static const struct {
    u8 key;
    enum key_command command;
    const char *help;
} commands[] = {
    {KEY_ESCAPE, KEY_INPUT, NULL},
    {'n', KEY_NEXT, "n, TAB  input to the next guest"},
    {'\t', KEY_NEXT, NULL},
    {'p', KEY_PREVIOUS, "p       input to the previous guest"},
    {'m', KEY_TABLE, "m, q    table of guests"},
    {'q', KEY_TABLE, NULL},
    {'i', KEY_INFO, "i       about the host"},
    {'z', KEY_PAUSE, "z       pause the guest in focus"},
    {'r', KEY_RESUME, "r       resume it"},
    {'D', KEY_DESTROY, "D       destroy it"},
    {'R', KEY_RESTART, "R       restart it"},
    {'P', KEY_POWER_OFF, "P       switch the machine off"},
    {'B', KEY_REBOOT, "B       reboot the machine"},
    {'A', KEY_AUDIT, "A       count all references anew (debug builds)"},
    {'h', KEY_HELP, "h, ?    this help"},
    {'?', KEY_HELP, NULL},
};

static struct key_action decode_command(u8 c) {
    if (c >= '1' && c <= '9')
        return (struct key_action){KEY_FOCUS, (u8)(c - '0')};
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i].key == c)
            return (struct key_action){commands[i].command, c};
    return (struct key_action){KEY_UNKNOWN, c};
}

struct key_action keys_feed(struct keys *k, u8 c) {
    if (k->escaped) {
        k->escaped = false;
        return decode_command(c);
    }
    k->escaped = c == KEY_ESCAPE;
    return (struct key_action){k->escaped ? KEY_NOTHING : KEY_INPUT, c};
}

void keys_help(void (*line)(const char *text)) {
    line("Ctrl-], then:");
    line("1..9    input to the guest with that number");
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i].help)
            line(commands[i].help);
    line("Ctrl-]  send Ctrl-] itself");
}
