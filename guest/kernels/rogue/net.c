// SPDX-License-Identifier: MIT
// The same for a network card: packets of impossible sizes, from memory that was not granted or goes away, and a ring
// full of nonsense.
#include "rogue.h"

#define SLOTS 256u
#define ROUNDS 40u
#define BURST 64u

struct net {
    struct device dev;
    netif_tx_sring_t *tx;
    netif_rx_sring_t *rx;
    uint32_t prod;
};

static bool open_net(struct net *n, const char *path) {
    if (!device_find(&n->dev, path))
        return false;
    n->tx = device_share_ring(&n->dev, "tx-ring-ref");
    n->rx = device_share_ring(&n->dev, "rx-ring-ref");
    n->tx->rsp_event = n->rx->rsp_event = 1;
    device_write(&n->dev, "request-rx-copy", 1);
    device_write(&n->dev, "feature-rx-notify", 1);
    return device_connect(&n->dev, XenbusStateConnected);
}

static void send(struct net *n, netif_tx_request_t r) {
    r.id = (uint16_t)(n->prod % SLOTS);
    n->tx->ring[n->prod % SLOTS].req = r;
    __atomic_store_n(&n->tx->req_prod, ++n->prod, __ATOMIC_RELEASE);
    event_send(n->dev.port);
}

static bool answered(struct net *n) {
    return device_wait(&n->tx->rsp_prod, n->prod);
}

/* Each makes the backend drop a packet, and none may make it give the card up. */
static void wrong_packets(struct net *n) {
    grant_ref_t good = device_grant(&n->dev, page_alloc(), true);

    send(n, (netif_tx_request_t){.gref = good, .size = 60});
    test_check("net.packet", answered(n), "no answer");
    send(n, (netif_tx_request_t){.gref = 0x7fffffff, .size = 60});
    test_check("net.no_grant", answered(n), "no answer");
    send(n, (netif_tx_request_t){.gref = 1900, .size = 1500});
    test_check("net.unused_grant", answered(n), "no answer");
    send(n, (netif_tx_request_t){.gref = good, .size = 3});
    test_check("net.short_packet", answered(n), "no answer");
    send(n, (netif_tx_request_t){.gref = good, .size = 60});
    test_check("net.packet_again", answered(n), "no answer");
}

static void grants_go(struct net *n) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        grant_ref_t refs[8];

        for (unsigned i = 0; i < 8; i++) {
            refs[i] = device_grant(&n->dev, page_alloc(), true);
            send(n, (netif_tx_request_t){.gref = refs[i], .size = 1400});
        }
        for (unsigned i = 0; i < 8; i++)
            device_revoke(refs[i]);
        if (!test_check("net.grants_go", answered(n), "%u of %u answers in round %u", n->tx->rsp_prod, n->prod, round))
            return;
    }
}

/* Over the page's end, more parts than a packet may have, an index out of all bounds: the backend gives the card up. */
static void nonsense(struct net *n) {
    grant_ref_t good = device_grant(&n->dev, page_alloc(), true);

    for (unsigned i = 0; i < BURST; i++)
        send(n, (netif_tx_request_t){
                    .gref = good, .offset = 4000, .size = 65535, .flags = NETTXF_more_data | NETTXF_extra_info});
    for (unsigned i = 0; i < (PAGE_SIZE - 64) / 4; i++)
        ((uint32_t *)n->tx->ring)[i] = (i * 2654435761u) ^ n->prod;
    n->tx->req_prod += 0x40000000;
    n->rx->req_prod += 0x40000000;
    event_send(n->dev.port);
    clock_sleep(SECOND);
    test_pass("net.nonsense");
}

void attack_net(const char *path, unsigned attack) {
    static void (*const attacks[])(struct net * n) = {wrong_packets, grants_go, nonsense};
    struct net n = {0};

    if (test_check("net.connected", open_net(&n, path), "%s did not connect", path))
        attacks[attack](&n);
}
