/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both objects share: the address family constants that UAPI headers for
 * BPF leave out, the 4-tuple, and the counters.
 *
 * An address is always 16 bytes in network order, an IPv4 one as ::ffff:a.b.c.d,
 * so that an AF_INET6 socket that speaks IPv4 and its AF_INET peer agree.
 * Ports in our own structures are in host order.
 */
#ifndef ADMC_H
#define ADMC_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define AF_INET 2
#define AF_INET6 10
#define SOL_IP 0
#define SOL_IPV6 41
#define SO_ORIGINAL_DST 80 /* IP6T_SO_ORIGINAL_DST has the same number */
#define ECONNREFUSED 111
#define TCP_PROTOCOL 6 /* IPPROTO_TCP */

#define MAPPED_PREFIX bpf_htonl(0xffff)
#define LOOPBACK4 bpf_htonl(0x7f000001)

/*
 * A load of a context field that can't be merged with another one. Without the
 * barrier clang sinks the last loads of two branches into one load from a
 * computed context pointer, which the verifier refuses ("dereference of modified
 * ctx ptr"); volatile alone does not stop it.
 */
#define CTX(field) ({ __u32 v_ = (field); asm volatile("" : "+r"(v_)); v_; })

struct address {
	__u32 word[4];
};

/* One direction of a connection as one end sees it, in one network namespace:
 * loopback tuples of two pods are equal but for the cookie. */
struct tuple {
	__u64 netns; /* bpf_get_netns_cookie */
	struct address local;
	struct address remote;
	__u16 local_port;
	__u16 remote_port;
	__u32 pad;
};

static __always_inline void map_ipv4(struct address *a, __u32 ip4)
{
	a->word[0] = 0;
	a->word[1] = 0;
	a->word[2] = MAPPED_PREFIX;
	a->word[3] = ip4;
}

static __always_inline int is_ipv4(const struct address *a)
{
	return a->word[0] == 0 && a->word[1] == 0 && a->word[2] == MAPPED_PREFIX;
}

/* The same connection from the other end. */
static __always_inline void flip(struct tuple *to, const struct tuple *from)
{
	to->netns = from->netns;
	to->local = from->remote;
	to->remote = from->local;
	to->local_port = from->remote_port;
	to->remote_port = from->local_port;
	to->pad = 0;
}

/* The tuple of a socket in a sockops callback. remote_port is in network order
 * there, as a 32-bit number; local_port is in host order. */
static __always_inline void tuple_of_ops(struct tuple *t, struct bpf_sock_ops *s)
{
	t->netns = bpf_get_netns_cookie(s);
	if (s->family == AF_INET) {
		map_ipv4(&t->local, CTX(s->local_ip4));
		map_ipv4(&t->remote, CTX(s->remote_ip4));
	} else {
		t->local.word[0] = CTX(s->local_ip6[0]);
		t->local.word[1] = CTX(s->local_ip6[1]);
		t->local.word[2] = CTX(s->local_ip6[2]);
		t->local.word[3] = CTX(s->local_ip6[3]);
		t->remote.word[0] = CTX(s->remote_ip6[0]);
		t->remote.word[1] = CTX(s->remote_ip6[1]);
		t->remote.word[2] = CTX(s->remote_ip6[2]);
		t->remote.word[3] = CTX(s->remote_ip6[3]);
	}
	t->local_port = CTX(s->local_port);
	t->remote_port = bpf_ntohl(CTX(s->remote_port));
	t->pad = 0;
}

/* Both objects bring a map `counters` of their own; its index is an enum. */
#define COUNTERS(n)                                                            \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                       \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, __u64);                                          \
	} counters SEC(".maps");                                               \
	static __always_inline void count(__u32 i)                             \
	{                                                                      \
		__u64 *v = bpf_map_lookup_elem(&counters, &i);                 \
		if (v)                                                         \
			(*v)++;                                                \
	}

#endif
