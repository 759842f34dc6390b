package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A dialer is a process in a pod's application cgroup that connects and passes
// the connections on to the test. What the kernel does to a connection of the
// application it has then done to them.
type dialer struct {
	mu   sync.Mutex
	proc *process
	conn *net.UnixConn
}

// dialed is what a dialer says of each connection; the connection comes with it.
type dialed struct {
	Err string `json:",omitempty"`
	// Peer is the other end as the application sees it.
	Peer string
}

// A Conn is a connection of a pod's application. Its RemoteAddr is the one that
// the application sees.
type Conn struct {
	net.Conn
	peer net.Addr
}

// RemoteAddr is the other end as the application sees it.
func (c *Conn) RemoteAddr() net.Addr { return c.peer }

// CloseWrite ends the one direction (shutdown(2) with SHUT_WR).
func (c *Conn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// Dial connects as the pod's application does. Names are resolved in the pod.
func (p *Pod) Dial(addr string) (*Conn, error) {
	t := p.bed.t
	t.Helper()
	d := &p.dialer
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc == nil {
		d.start(p)
	}
	if _, err := fmt.Fprintln(d.proc.stdin, addr); err != nil {
		return nil, fmt.Errorf("the dialer in %s: %w", p.Service, err)
	}
	said, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := d.conn.ReadMsgUnix(said, oob)
	if err != nil {
		return nil, fmt.Errorf("the dialer in %s: %w", p.Service, err)
	}
	var got dialed
	if err := json.Unmarshal(said[:n], &got); err != nil {
		return nil, fmt.Errorf("the dialer in %s: %w", p.Service, err)
	}
	if got.Err != "" {
		return nil, fmt.Errorf("dial %s: %s", addr, got.Err)
	}
	peer, err := net.ResolveTCPAddr("tcp", got.Peer)
	if err != nil {
		return nil, err
	}
	c, err := received(oob[:oobn])
	if err != nil {
		return nil, err
	}
	return &Conn{c, peer}, nil
}

// DialContext is Dial with the signature that clients of Go's take.
func (p *Pod) DialContext(_ context.Context, _, addr string) (net.Conn, error) {
	return p.Dial(addr)
}

func (d *dialer) start(p *Pod) {
	t := p.bed.t
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "connections"), os.NewFile(uintptr(ends[1]), "connections")
	defer ours.Close()
	defer theirs.Close()
	c, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	d.conn = c.(*net.UnixConn)
	d.proc = p.startWith(p.appCgroup(), os.Stderr, []*os.File{theirs}, "dialer")
}

// received makes a connection of the descriptor in a control message.
func received(oob []byte) (net.Conn, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, fmt.Errorf("%d control messages with a connection", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "connection")
	defer f.Close()
	return net.FileConn(f)
}

// runDialer is the dialer's process: an address a line, and for each one message
// with the connection.
func runDialer(to *os.File) error {
	out, err := net.FileConn(to)
	if err != nil {
		return err
	}
	var addr string
	for {
		if _, err := fmt.Scanln(&addr); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := dialFor(out.(*net.UnixConn), addr); err != nil {
			return err
		}
	}
}

func dialFor(out *net.UnixConn, addr string) error {
	c, err := net.DialTimeout("tcp", addr, clientTimeout)
	if err != nil {
		return pass(out, dialed{Err: err.Error()}, nil)
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	defer f.Close()
	return pass(out, dialed{Peer: c.RemoteAddr().String()}, syscall.UnixRights(int(f.Fd())))
}

func pass(out *net.UnixConn, d dialed, oob []byte) error {
	said, err := json.Marshal(d)
	if err != nil {
		return err
	}
	out.SetWriteDeadline(time.Now().Add(clientTimeout))
	_, _, err = out.WriteMsgUnix(said, oob, nil)
	return err
}
