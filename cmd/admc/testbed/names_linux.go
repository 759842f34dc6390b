package testbed

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// names is the bed's zone: fully qualified lower-case names without the final
// dot, and their addresses.
type names struct {
	mu        sync.Mutex
	addrs     map[string][]netip.Addr
	withdrawn map[netip.Addr]bool // pods that are about to end
}

func (n *names) add(name string, a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = map[string][]netip.Addr{}
	}
	n.addrs[name] = append(n.addrs[name], a)
}

func (n *names) lookup(name string) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.addrs[strings.TrimSuffix(strings.ToLower(name), ".")]), func(a netip.Addr) bool {
		return n.withdrawn[a]
	})
}

// Named puts the pod behind one more name, that of a further Service.
func (p *Pod) Named(host string) { p.bed.names.add(host, p.Address) }

// Withdraw takes the pod out of its names, as when it begins to end; Admit puts
// it back. Whoever has asked keeps an answer for as long as it may (5 s).
func (p *Pod) Withdraw() { p.bed.names.withdraw(p.Address, true) }

// Admit is the other half of Withdraw.
func (p *Pod) Admit() { p.bed.names.withdraw(p.Address, false) }

func (n *names) withdraw(a netip.Addr, gone bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.withdrawn == nil {
		n.withdrawn = map[netip.Addr]bool{}
	}
	n.withdrawn[a] = gone
}

// serveNames answers queries at the gateway's port 53 until the bed goes.
func (b *Bed) serveNames() {
	b.t.Helper()
	var conn *net.UDPConn
	err := b.bridge.do(func() (err error) {
		conn, err = net.ListenUDP("udp", &net.UDPAddr{IP: gateway.AsSlice(), Port: 53})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // closed
			}
			if answer, err := b.names.answer(buf[:n]); err == nil {
				conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
}

// answer to a query: A records, an empty answer for another type, NXDOMAIN for
// an unknown name.
func (n *names) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	addrs := n.lookup(q.Name.String())
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	if len(addrs) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	if q.Type == dnsmessage.TypeA {
		for _, a := range addrs {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 5},
				Body:   &dnsmessage.AResource{A: a.As4()},
			})
		}
	}
	return m.Pack()
}
