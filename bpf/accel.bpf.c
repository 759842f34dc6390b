//go:build ignore
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moves bytes between two sockets of one pod without the TCP stack: between an
 * application and its ADM, on the ports of the table `accelerated`.
 *
 * A redirected message goes straight to the peer's receive queue, where it can
 * overtake what the stack still carries. So the stream keeps its order only if
 *
 *   1. both ends are in the map, or neither: the connecting end enrols when the
 *      handshake's answer arrives, the accepting end when it sees ENROLLED; each
 *      takes the other out when that fails;
 *   2. each direction decides once, at its first message, between redirecting
 *      and the stack, and redirects only if nothing went through the stack
 *      before (Fast Open, a send that began during the handshake);
 *   3. a first message that finds no peer marks the meeting DIRTY, so that the
 *      accepting end stays out;
 *   4. a sender that has not heard from its peer for `budget` bytes goes to the
 *      stack for good, for a redirect knows no window: without it a slow reader
 *      would queue without bound. What the stack brings is read after what was
 *      redirected, so the order holds.
 *
 * Keys carry the namespace's cookie: loopback tuples of two pods never meet.
 *
 * What the kernel does not hide on such sockets: splice(2) waits for bytes that
 * are there, and a blocking read may end with EAGAIN when its own writes are
 * acknowledged. So nothing is accelerated unless the configuration says so.
 */
#include "accel.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* Set by the loader. */
const volatile __u64 budget = 16 << 20;

/* The only fields read from the kernel's own structures, found by CO-RE. */
struct tcp_sock {
	__u64 bytes_sent;
	__u32 write_seq;
	__u32 snd_una;
} __attribute__((preserve_access_index));

static __always_inline int enrol(struct bpf_sock_ops *s, struct tuple *own)
{
	if (bpf_sock_hash_update(s, &sockets, own, BPF_NOEXIST)) {
		count(ENROLL_FAILED); /* the map is full: the stack */
		return 0;
	}
	count(ENROLLMENTS);
	return 1;
}

/* Before the SYN is sent: the accepting end can't be earlier. */
static __always_inline void dial(struct bpf_sock_ops *s)
{
	struct tuple own = {}, peer = {};
	struct meeting m = { .state = DIALLING };

	tuple_of_ops(&own, s);
	__u32 port = own.remote_port;
	if (!bpf_map_lookup_elem(&accelerated, &port))
		return;
	flip(&peer, &own);
	bpf_map_update_elem(&meetings, &peer, &m, BPF_ANY);
	/* what an earlier connection of the same tuple left */
	bpf_map_delete_elem(&unheard, &own);
	bpf_map_delete_elem(&unheard, &peer);
}

static __always_inline void connected(struct bpf_sock_ops *s)
{
	struct tuple own = {}, peer = {};

	tuple_of_ops(&own, s);
	flip(&peer, &own);
	if (!bpf_map_lookup_elem(&meetings, &peer) || !enrol(s, &own))
		return;
	/* Looked up again: with Fast Open the accepting end may have been here
	 * meanwhile, alone, and have taken the meeting away. */
	struct meeting *m = bpf_map_lookup_elem(&meetings, &peer);
	if (m && __sync_val_compare_and_swap(&m->state, DIALLING, ENROLLED) == DIALLING) {
		bpf_sock_ops_cb_flags_set(s, s->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_RTT_CB_FLAG);
		return;
	}
	if (!bpf_map_delete_elem(&sockets, &own))
		count(WITHDRAWN);
}

static __always_inline void accepted(struct bpf_sock_ops *s)
{
	struct tuple own = {}, peer = {};

	tuple_of_ops(&own, s);
	struct meeting *m = bpf_map_lookup_elem(&meetings, &own);
	if (!m)
		return; /* the peer is not of this pod, or not on our ports */
	__u32 was = __sync_val_compare_and_swap(&m->state, ENROLLED, TAKEN);
	bpf_map_delete_elem(&meetings, &own);
	if (was == ENROLLED && enrol(s, &own))
		return;
	flip(&peer, &own);
	if (!bpf_map_delete_elem(&sockets, &peer))
		count(WITHDRAWN);
}

/* A round trip was measured, which only traffic of the stack does. A connecting
 * end whose peer never enrolled leaves the map here: nobody can have redirected
 * to it, so nothing of its queue is lost. */
static __always_inline void measured(struct bpf_sock_ops *s, struct bpf_sock *sk)
{
	struct direction *d = bpf_sk_storage_get(&directions, sk, 0, 0);

	if (d && d->way == STACK_ALONE) {
		struct tuple own = {};
		tuple_of_ops(&own, s);
		if (!bpf_map_delete_elem(&sockets, &own)) /* else the accepting end did */
			count(WITHDRAWN);
		d->way = LEFT;
	}
	if (!d || d->way != REDIRECT)
		bpf_sock_ops_cb_flags_set(s, s->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

/* On the pod's cgroup. */
SEC("sockops")
int admc_meet(struct bpf_sock_ops *s)
{
	struct bpf_sock *sk = s->sk; /* once: each load is a new pointer to check */

	if (!sk)
		return 1;
	switch (s->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		dial(s);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		connected(s);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		accepted(s);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		measured(s, sk);
		break;
	}
	return 1;
}

/* The tuple of the peer of a sending socket. */
static __always_inline void peer_of_msg(struct tuple *t, struct sk_msg_md *m)
{
	t->netns = bpf_get_netns_cookie(m);
	if (m->family == AF_INET) {
		map_ipv4(&t->local, CTX(m->remote_ip4));
		map_ipv4(&t->remote, CTX(m->local_ip4));
	} else {
		t->local.word[0] = CTX(m->remote_ip6[0]);
		t->local.word[1] = CTX(m->remote_ip6[1]);
		t->local.word[2] = CTX(m->remote_ip6[2]);
		t->local.word[3] = CTX(m->remote_ip6[3]);
		t->remote.word[0] = CTX(m->local_ip6[0]);
		t->remote.word[1] = CTX(m->local_ip6[1]);
		t->remote.word[2] = CTX(m->local_ip6[2]);
		t->remote.word[3] = CTX(m->local_ip6[3]);
	}
	t->local_port = bpf_ntohl(CTX(m->remote_port));
	t->remote_port = CTX(m->local_port);
	t->pad = 0;
}

/* Whether bytes of this socket are, or were, with the stack. */
static __always_inline int sent_by_stack(struct bpf_sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return !tp || tp->bytes_sent || tp->write_seq != tp->snd_una;
}

/* Charges a message; false when the budget is spent. */
static __always_inline int within_budget(const struct tuple *peer, __u32 size)
{
	struct tuple own;
	__u64 zero = 0, *mine, *theirs;

	flip(&own, peer);
	theirs = bpf_map_lookup_elem(&unheard, peer);
	if (theirs)
		*theirs = 0; /* they hear from us now */
	mine = bpf_map_lookup_elem(&unheard, &own);
	if (!mine) {
		bpf_map_update_elem(&unheard, &own, &zero, BPF_NOEXIST);
		mine = bpf_map_lookup_elem(&unheard, &own);
	}
	if (!mine || *mine + size > budget)
		return 0;
	*mine += size;
	return 1;
}

static __always_inline int by_stack(void)
{
	count(BY_STACK);
	return SK_PASS;
}

/* On the map `sockets`, for every message that one of its sockets sends. */
SEC("sk_msg")
int admc_redirect(struct sk_msg_md *m)
{
	struct tuple peer = {};
	struct bpf_sock *sk = m->sk;

	if (!sk)
		return by_stack();
	struct direction *d = bpf_sk_storage_get(&directions, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!d || d->way >= STACK_ALONE)
		return by_stack();
	if (d->way == UNDECIDED && sent_by_stack(sk)) {
		d->way = STACK;
		return by_stack();
	}
	peer_of_msg(&peer, m);
	if (!within_budget(&peer, m->size)) {
		d->way = STACK;
		return by_stack();
	}
	if (bpf_msg_redirect_hash(m, &sockets, &peer, BPF_F_INGRESS) == SK_PASS) {
		d->way = REDIRECT;
		count(REDIRECTED);
		return SK_PASS;
	}
	/* No peer in the map: SK_PASS sends it by the stack. */
	if (d->way == UNDECIDED) {
		struct meeting *w = bpf_map_lookup_elem(&meetings, &peer);
		d->way = w && __sync_val_compare_and_swap(&w->state, ENROLLED, DIRTY) == ENROLLED ? STACK_ALONE : STACK;
	}
	return by_stack();
}
