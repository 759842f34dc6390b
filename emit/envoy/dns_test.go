//go:build linux

package envoy

import (
	"net"
	"os"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// hosts of the test's DNS: the headless services of the server's pods and of its
// versions, and what policies ask.
var hosts = map[string][]string{
	"server-v1-admc.test.svc.cluster.local.":   {v1IP},
	"server-v2-admc.test.svc.cluster.local.":   {v2IP},
	"server-admc-pods.test.svc.cluster.local.": {serverIP, v1IP, v2IP, p4IP},
	"keys.test.":      {serverIP},
	"guard.test.":     {serverIP},
	"limits.test.":    {serverIP},
	"collector.test.": {serverIP},
	"server-admc-near.test.svc.cluster.local.": {p4IP}, // what kube-proxy would choose
}

// serveDNS answers A queries on the namespace's loopback, and makes the
// namespace's processes ask there.
func serveDNS(t testing.TB, n *namespace) {
	t.Helper()
	dir := "/etc/netns/" + n.name
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/resolv.conf", []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var conn net.PacketConn
	if err := n.do(func() (err error) {
		conn, err = net.ListenPacket("udp4", "127.0.0.1:53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			k, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:k]); reply != nil {
				conn.WriteTo(reply, from)
			}
		}
	}()
}

func answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	ips, ok := hosts[q.Name.String()]
	switch {
	case !ok:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		for _, ip := range ips {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 5},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(ip).To4())},
			})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}
