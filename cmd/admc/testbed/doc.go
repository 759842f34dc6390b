// Package testbed runs emitted files on real parts: pods are network namespaces
// with addresses of their own, services are small HTTP, gRPC and TCP servers in
// them, or Debian's PostgreSQL, MariaDB and Redis, an ADM is a real Envoy with
// the emitted, unmodified envoy.yaml, and its connections are brought to it by
// the redirect objects with the emitted configuration.
//
// In: a directory as `admc compile` writes it. Out: what clients in the pods
// get. It needs root, Linux and an Envoy (the variable ENVOY, then PATH, then
// .tools/envoy/bin/envoy). A pod has one address, and a service's name resolves
// to the addresses of its pods, as a headless one's does; there is no cluster
// address.
//
// Everything lives in namespaces and cgroups named after this process and goes
// away when the test ends. What a killed run left behind, the next one removes.
package testbed
