/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of steer.bpf.c. bpfgen/tables_linux.go writes the same layouts. */
#ifndef ADMC_STEER_H
#define ADMC_STEER_H

#include "admc.h"

#define FAIL_OPEN 1u

/* Where a call may be dialled: one address of a receiver, and its port. */
struct destination {
	struct address address;
	__u16 port;
	__u16 pad;
};

/* The ADM's listener that takes it. */
struct target {
	__u32 slot; /* index into `listeners` */
	__u16 port; /* on 127.0.0.1 */
	__u16 flags;
};

/* Kept on a socket: the address that the application dialled. */
struct dialled {
	struct address address;
	__u16 port;
	__u8 steered; /* 1: the application's own end, 0: the end that the ADM accepted */
	__u8 pad;
};

/* The loader sizes the first four to the configuration. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct destination);
	__type(value, struct target);
} egress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32); /* the service's port */
	__type(value, struct target);
} ingress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32); /* the listener's port */
	__type(value, __u32);
} slots SEC(".maps");

/* The ADM's listening sockets. The kernel empties a slot when its socket closes,
 * so an empty one is a dead listener. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct dialled);
} dialled SEC(".maps");

/* From a steered connect to the accept at the other end, keyed by the tuple as
 * the accepting end sees it. Least recently used go first: connections that were
 * never accepted leave nothing behind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct tuple);
	__type(value, struct dialled);
} pending SEC(".maps");

/* bpfgen/counters_linux.go names them in this order. */
enum {
	STEERED,
	EGRESS_BYPASSED,
	EGRESS_REFUSED,
	LISTENING,
	ACCEPTED,
	INBOUND,
	INBOUND_BYPASSED,
	INBOUND_REFUSED,
	STEER_COUNTERS,
};
COUNTERS(STEER_COUNTERS)

#endif
