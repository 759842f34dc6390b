//go:build ignore
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Brings a pod's connections to its ADM.
 *
 * Outbound: a connect to an address and port of the table `egress` goes to the
 * ADM's loopback listener instead, and the application still sees the address it
 * dialled. Inbound: a connection from outside the pod to a port of the table
 * `ingress` is given to the ADM's listener, whatever address that is bound to.
 * On the sockets that the ADM accepts, SO_ORIGINAL_DST is the address dialled.
 * Everything else never leaves its path.
 *
 * The pod is told by the attachment: the programs below hang on its cgroup, on
 * its ADM's cgroup (below the pod's), and on its network namespace. Only sockets
 * of the ADM's cgroup can become listeners, and only the ADM passes unsteered.
 */
#include "steer.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* Set by the loader: the id of the cgroup that the ADM runs in. */
const volatile __u64 adm_cgroup = 0;

enum verdict { LEAVE, STEER, REFUSE };

static __always_inline int alive(__u32 slot)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&listeners, &slot);
	if (!sk)
		return 0;
	int listening = sk->state == BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return listening;
}

/* Decides about one connect, and remembers on the socket what was dialled. */
static __always_inline enum verdict decide(struct bpf_sock_addr *ctx, const struct destination *d, __u16 *port)
{
	if (ctx->protocol != TCP_PROTOCOL || !ctx->sk)
		return LEAVE;
	if (bpf_get_current_cgroup_id() == adm_cgroup)
		return LEAVE;
	/* A socket may be connected again, after a failure or a disconnect. */
	struct target *t = bpf_map_lookup_elem(&egress, d);
	if (!t) {
		bpf_sk_storage_delete(&dialled, ctx->sk);
		return LEAVE;
	}
	if (!alive(t->slot)) {
		if (t->flags & FAIL_OPEN) {
			bpf_sk_storage_delete(&dialled, ctx->sk);
			count(EGRESS_BYPASSED);
			return LEAVE;
		}
		count(EGRESS_REFUSED);
		return REFUSE;
	}
	/* A live ADM is never passed by, so want of memory refuses under either
	 * mode. */
	struct dialled *c = bpf_sk_storage_get(&dialled, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c) {
		count(EGRESS_REFUSED);
		return REFUSE;
	}
	c->address = d->address;
	c->port = d->port;
	c->steered = 1;
	*port = t->port;
	count(STEERED);
	return STEER;
}

static __always_inline int refuse(void)
{
	bpf_set_retval(-ECONNREFUSED);
	return 0;
}

SEC("cgroup/connect4")
int admc_connect4(struct bpf_sock_addr *ctx)
{
	struct destination d = { .port = bpf_ntohs(ctx->user_port) };
	__u16 port = 0;

	map_ipv4(&d.address, ctx->user_ip4);
	switch (decide(ctx, &d, &port)) {
	case LEAVE:
		return 1;
	case REFUSE:
		return refuse();
	case STEER:
		ctx->user_ip4 = LOOPBACK4;
		ctx->user_port = bpf_htons(port);
	}
	return 1;
}

/* The listener is at ::ffff:127.0.0.1. A socket that is IPv6 only can't reach
 * it: the kernel answers ENETUNREACH, which is a refusal. */
SEC("cgroup/connect6")
int admc_connect6(struct bpf_sock_addr *ctx)
{
	struct destination d = { .port = bpf_ntohs(ctx->user_port) };
	__u16 port = 0;

	d.address.word[0] = ctx->user_ip6[0];
	d.address.word[1] = ctx->user_ip6[1];
	d.address.word[2] = ctx->user_ip6[2];
	d.address.word[3] = ctx->user_ip6[3];
	switch (decide(ctx, &d, &port)) {
	case LEAVE:
		return 1;
	case REFUSE:
		return refuse();
	case STEER:
		ctx->user_ip6[0] = 0;
		ctx->user_ip6[1] = 0;
		ctx->user_ip6[2] = MAPPED_PREFIX;
		ctx->user_ip6[3] = LOOPBACK4;
		ctx->user_port = bpf_htons(port);
	}
	return 1;
}

/* An MPTCP socket is steered as well, by its first subflow; its getpeername asks
 * with the whole, where nothing is kept, and sees the loopback address. Going
 * from one to the other would take CAP_PERFMON. */
SEC("cgroup/getpeername4")
int admc_peername4(struct bpf_sock_addr *ctx)
{
	struct dialled *c = 0;

	if (ctx->sk)
		c = bpf_sk_storage_get(&dialled, ctx->sk, 0, 0);
	if (c && c->steered) {
		ctx->user_ip4 = c->address.word[3];
		ctx->user_port = bpf_htons(c->port);
	}
	return 1;
}

SEC("cgroup/getpeername6")
int admc_peername6(struct bpf_sock_addr *ctx)
{
	struct dialled *c = 0;

	if (ctx->sk)
		c = bpf_sk_storage_get(&dialled, ctx->sk, 0, 0);
	if (c && c->steered) {
		ctx->user_ip6[0] = c->address.word[0];
		ctx->user_ip6[1] = c->address.word[1];
		ctx->user_ip6[2] = c->address.word[2];
		ctx->user_ip6[3] = c->address.word[3];
		ctx->user_port = bpf_htons(c->port);
	}
	return 1;
}

/* On the pod's cgroup. When TCP_CONNECT_CB runs, the local port is known and the
 * SYN is not sent: the accepting end can't be earlier, with Fast Open neither. */
SEC("sockops")
int admc_dial(struct bpf_sock_ops *s)
{
	struct tuple own = {}, peer = {};
	struct bpf_sock *sk = s->sk; /* once: each load is a new pointer to check */

	if (s->op != BPF_SOCK_OPS_TCP_CONNECT_CB || !sk)
		return 1;
	struct dialled *c = bpf_sk_storage_get(&dialled, sk, 0, 0);
	if (!c || !c->steered)
		return 1;
	tuple_of_ops(&own, s);
	flip(&peer, &own);
	bpf_map_update_elem(&pending, &peer, c, BPF_ANY);
	return 1;
}

/* A listener counts only on loopback: a wildcard one that happens to have the
 * port is not the ADM's. */
static __always_inline void remember_listener(struct bpf_sock_ops *s)
{
	__u32 port = CTX(s->local_port);
	__u32 *slot = bpf_map_lookup_elem(&slots, &port);

	if (!slot || s->family != AF_INET || CTX(s->local_ip4) != LOOPBACK4)
		return;
	__u32 i = *slot;
	/* Of several sockets with SO_REUSEPORT the last one is kept; the kernel
	 * still chooses among them. */
	if (!bpf_sock_map_update(s, &listeners, &i, BPF_ANY))
		count(LISTENING);
}

/* On the ADM's cgroup: its listeners, and the connections they accept. */
SEC("sockops")
int admc_accept(struct bpf_sock_ops *s)
{
	struct tuple own = {};
	struct bpf_sock *sk = s->sk;

	if (s->op == BPF_SOCK_OPS_TCP_LISTEN_CB) {
		remember_listener(s);
		return 1;
	}
	if (s->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || !sk)
		return 1;
	tuple_of_ops(&own, s);
	struct dialled *p = bpf_map_lookup_elem(&pending, &own);
	if (!p)
		return 1; /* inbound, or dialled to the listener by hand */
	struct dialled *c = bpf_sk_storage_get(&dialled, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (c) {
		c->address = p->address;
		c->port = p->port;
		count(ACCEPTED);
	}
	bpf_map_delete_elem(&pending, &own);
	return 1;
}

struct sockaddr4 {
	__u16 family;
	__u16 port;
	__u32 address;
	__u8 zero[8];
};

struct sockaddr6 {
	__u16 family;
	__u16 port;
	__u32 flow;
	struct address address;
	__u32 scope;
};

/* Volatile: clang would make one 8-byte store of the two fields, which the
 * verifier refuses. */
static __always_inline int answered(struct bpf_sockopt *ctx, __s32 len)
{
	*(volatile __s32 *)&ctx->optlen = len;
	*(volatile __s32 *)&ctx->retval = 0;
	return 1;
}

static __always_inline int answer4(struct bpf_sockopt *ctx, __u32 address, __u16 port)
{
	struct sockaddr4 *a = ctx->optval;

	if ((void *)(a + 1) > ctx->optval_end)
		return 1;
	a->family = AF_INET;
	a->port = bpf_htons(port);
	a->address = address;
	__builtin_memset(a->zero, 0, sizeof(a->zero));
	return answered(ctx, sizeof(*a));
}

static __always_inline int answer6(struct bpf_sockopt *ctx, const struct address *address, __u16 port)
{
	struct sockaddr6 *a = ctx->optval;

	if ((void *)(a + 1) > ctx->optval_end)
		return 1;
	a->family = AF_INET6;
	a->port = bpf_htons(port);
	a->flow = 0;
	a->address = *address;
	a->scope = 0;
	return answered(ctx, sizeof(*a));
}

/* On the ADM's cgroup. An IPv6 address dialled is answered as sockaddr_in6 on
 * an IPv4 socket too: the connection came by loopback, the address did not. */
SEC("cgroup/getsockopt")
int admc_origdst(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (ctx->optname != SO_ORIGINAL_DST || (ctx->level != SOL_IP && ctx->level != SOL_IPV6)) {
		/* A buffer of more than a page is not ours to see: a length of 0
		 * leaves the kernel's answer as it is. */
		if (ctx->optlen > 4096)
			ctx->optlen = 0;
		return 1;
	}
	if (!sk)
		return 1;
	struct dialled *c = bpf_sk_storage_get(&dialled, sk, 0, 0);
	if (c && !c->steered && c->port) {
		if (is_ipv4(&c->address))
			return answer4(ctx, c->address.word[3], c->port);
		return answer6(ctx, &c->address, c->port);
	}
	/* Given to us by sk_lookup: the address dialled is the socket's own. */
	__u32 port = sk->src_port;
	if (sk->family == AF_INET && bpf_map_lookup_elem(&ingress, &port))
		return answer4(ctx, sk->src_ip4, port);
	return 1;
}

/* The ADM's own connection to its pod, and any other of the pod to itself: one
 * address at both ends. The ingress interface does not tell: for a looped packet
 * it is the one that has the address. From outside, such a packet is a martian
 * (IPv4), or its answer goes nowhere (IPv6). */
static __always_inline int to_itself(struct bpf_sk_lookup *ctx)
{
	if (ctx->family == AF_INET)
		return CTX(ctx->local_ip4) == CTX(ctx->remote_ip4);
	return CTX(ctx->local_ip6[0]) == CTX(ctx->remote_ip6[0]) &&
	       CTX(ctx->local_ip6[1]) == CTX(ctx->remote_ip6[1]) &&
	       CTX(ctx->local_ip6[2]) == CTX(ctx->remote_ip6[2]) &&
	       CTX(ctx->local_ip6[3]) == CTX(ctx->remote_ip6[3]);
}

SEC("sk_lookup")
int admc_inbound(struct bpf_sk_lookup *ctx)
{
	if (ctx->protocol != TCP_PROTOCOL)
		return SK_PASS;
	__u32 port = ctx->local_port;
	struct target *t = bpf_map_lookup_elem(&ingress, &port);
	if (!t || to_itself(ctx))
		return SK_PASS;
	__u32 slot = t->slot;
	struct bpf_sock *sk = bpf_map_lookup_elem(&listeners, &slot);
	if (!sk) {
		if (t->flags & FAIL_OPEN) {
			count(INBOUND_BYPASSED);
			return SK_PASS;
		}
		count(INBOUND_REFUSED);
		return SK_DROP; /* answered with a reset */
	}
	/* No flags: the kernel's choice among SO_REUSEPORT sockets stays on. It
	 * fails for an IPv6 connection, which an IPv4 listener can't take: refused
	 * under either mode, for the ADM is alive and must not be passed by. */
	long err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	if (err) {
		count(INBOUND_REFUSED);
		return SK_DROP;
	}
	count(INBOUND);
	return SK_PASS;
}
