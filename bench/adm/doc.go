// Package adm measures what an ADM costs: the latency of a request through one,
// and the CPU time that its Envoy takes for it, for each standard action on each
// kind of protocol that it can act on. `make bench-adm` writes the result into
// docs/performance.md; the `cost` figures of the standard library and
// [ir.HopMicros] are taken from there, and a test keeps them equal.
//
// A row of the table is a policy of that one action, compiled by admc itself. Its
// pods are network namespaces with a client and a server, its ADM a real Envoy
// with the emitted file, its redirect the emitted one (see cmd/admc/testbed). It
// is measured beside two others in the same run: the same client and server with
// no proxy, and with an empty ADM, which is that of an action that does nothing (a
// filter without rules). All of them take turns, a short round each, so that what
// the machine does besides comes to all alike.
//
// The client has one connection and sends the next request when it has the answer
// to the last; on byte streams each request is a connection. So an Envoy wakes up
// for each event of each request, which is the dearest way to use one: under load
// several events share a wake-up.
//
// The measuring itself is a test, because the testbed is one:
//
//	go test ./bench/adm -run TestCosts -timeout 20m -full [-update]
package adm
