package testbed

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// A SetMember is what a member of a replica set answers to each line that it is
// sent: who it is, and where all of them are. So clients of MongoDB learn, from
// whichever member they reach first, whom to dial.
type SetMember struct {
	Me    string
	Hosts []string // host:port
}

// Member starts a member of a replica set on a port of the pod. It answers that
// it is me, and with the list.
func (p *Pod) Member(port int, me string, hosts ...string) {
	t := p.bed.t
	t.Helper()
	proc := p.start(p.appCgroup(), os.Stderr, "set", me, fmt.Sprint(port), strings.Join(hosts, ","))
	if got := proc.line(); got != "ready" {
		t.Fatalf("the member %s does not start", me)
	}
}

// AskMember asks a member as the pod's application does.
func (p *Pod) AskMember(addr string) (m SetMember, err error) {
	p.bed.t.Helper()
	c, err := p.Dial(addr)
	if err != nil {
		return m, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(clientTimeout))
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return m, err
	}
	return m, json.NewDecoder(c).Decode(&m)
}

func serveSet(l net.Listener, me string, hosts []string) error {
	return accept(l, func(c net.Conn) {
		for in := bufio.NewScanner(c); in.Scan(); {
			if json.NewEncoder(c).Encode(SetMember{me, hosts}) != nil {
				return
			}
		}
	})
}
