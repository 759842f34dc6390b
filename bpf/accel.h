/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of accel.bpf.c. */
#ifndef ADMC_ACCEL_H
#define ADMC_ACCEL_H

#include "admc.h"

/* How far the two ends of a connection are. It moves by compare-and-swap. */
#define DIALLING 0u /* the connecting end has not heard from the other */
#define ENROLLED 1u /* the connecting end is in `sockets` */
#define DIRTY 2u    /* ... but its first message found no peer and took the stack */
#define TAKEN 3u    /* the accepting end saw ENROLLED and enrols too */

struct meeting {
	__u32 state;
	__u32 pad;
};

/* What a socket's sending direction was found to be, once. */
#define UNDECIDED 0u
#define REDIRECT 1u
#define STACK_ALONE 2u /* the stack: the peer will not enrol */
#define STACK 3u       /* the stack: for good */
#define LEFT 4u        /* the stack, and out of `sockets` */

struct direction {
	__u32 way;
	__u32 pad;
};

/* Server ports whose connections within the pod are accelerated. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} accelerated SEC(".maps");

/* Keyed by the tuple as the accepting end sees it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct tuple);
	__type(value, struct meeting);
} meetings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct direction);
} directions SEC(".maps");

/* Bytes that an end has redirected since the peer last sent something. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, __u64);
} unheard SEC(".maps");

/* bpfgen/counters_linux.go names them in this order. */
enum {
	ENROLLMENTS,
	ENROLL_FAILED,
	WITHDRAWN,
	REDIRECTED,
	BY_STACK,
	ACCEL_COUNTERS,
};
COUNTERS(ACCEL_COUNTERS)

#endif
