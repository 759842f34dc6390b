package bpfgen

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A worker is this test binary, run again in a cgroup and a namespace. It obeys
// one command a line and answers with one line, "ok …" or "error …":
//
//	echo ADDR TAG           serves: greets with the tag, then sends back what it gets
//	whole ADDR [OPTION]     serves: reads to the end, then answers how many of the bytes
//	                        were the pattern's; the option is "defer" for
//	                        TCP_DEFER_ACCEPT or "fastopen" for TCP_FASTOPEN
//	proxy ADDR              serves as an ADM: asks SO_ORIGINAL_DST, dials it, copies
//	stop ADDR               closes a server's listener
//	call NETWORK ADDR SIZE  dials, reads the greeting, sends SIZE bytes in messages of
//	                        1000 and wants them back; "mptcp" is a network too, and
//	                        "from:PORT" is tcp4 from 127.0.0.1:PORT
//	again ADDR ADDR         connects one socket to one address and then to another, and
//	                        answers what getpeername says
//	burst ADDR N            N connections that write during their handshake
//	fastopen ADDR N         N connections, one after the other, whose first message
//	                        is in the SYN
//	attach OBJECT POD       attaches config() for the pod (JSON), with two legs
//	                        accelerated if the object is "accel"
//	flood ADDR              writes without reading until the socket is full, then closes
func TestMain(m *testing.M) {
	if os.Getenv("ADMC_WORKER") != "" {
		work()
		return
	}
	os.Exit(m.Run())
}

func work() {
	w := worker{listeners: map[string]net.Listener{}}
	sc := bufio.NewScanner(os.Stdin)
	for sc.Scan() {
		answer, err := w.obey(strings.Fields(sc.Text()))
		if err != nil {
			fmt.Println("error", err)
		} else {
			fmt.Println(strings.TrimSpace("ok " + answer))
		}
	}
}

type worker struct {
	listeners map[string]net.Listener
}

func (w *worker) obey(cmd []string) (string, error) {
	switch cmd[0] {
	case "echo":
		return "", w.serve(cmd[1], "", func(c *net.TCPConn) { greet(c, cmd[2]) })
	case "whole":
		return "", w.serve(cmd[1], strings.Join(cmd[2:], ""), judge)
	case "proxy":
		return "", w.serve(cmd[1], "", proxy)
	case "stop":
		return "", w.listeners[cmd[1]].Close()
	case "call":
		size, _ := strconv.Atoi(cmd[3])
		return call(cmd[1], cmd[2], size)
	case "again":
		return again(cmd[1:])
	case "burst":
		n, _ := strconv.Atoi(cmd[2])
		return burst(cmd[1], n)
	case "fastopen":
		n, _ := strconv.Atoi(cmd[2])
		return fastOpen(cmd[1], n)
	case "attach":
		return "", attachFromJSON(cmd[1] == "accel", strings.Join(cmd[2:], " "))
	case "flood":
		return flood(cmd[1])
	}
	return "", fmt.Errorf("unknown command %q", cmd)
}

// serve accepts in the background. Go's listeners are MPTCP ones by default,
// which can't be in a socket map.
func (w *worker) serve(addr, option string, f func(*net.TCPConn)) error {
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) (err error) {
		cerr := rc.Control(func(fd uintptr) {
			switch option {
			case "defer":
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
			case "fastopen":
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16)
			}
		})
		return errors.Join(err, cerr)
	}}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	w.listeners[addr] = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			}()
		}
	}()
	return nil
}

func greet(c *net.TCPConn, tag string) {
	fmt.Fprintf(c, "%s\n", tag)
	copyPlain(c, c)
}

// pattern is byte i of a stream.
func pattern(i int) byte { return byte(i * 7 % 251) }

// judge reads a stream to its end and answers "intact N" or "broken at N".
func judge(c *net.TCPConn) {
	n, buf := 0, make([]byte, 1<<16)
	for {
		k, err := c.Read(buf)
		for i := range k {
			if buf[i] != pattern(n+i) {
				fmt.Fprintf(c, "broken at %d\n", n+i)
				return
			}
		}
		n += k
		if err != nil {
			fmt.Fprintf(c, "intact %d\n", n)
			return
		}
	}
}

func proxy(c *net.TCPConn) {
	to, err := originalDst(c)
	if err != nil {
		fmt.Fprintf(c, "SO_ORIGINAL_DST: %v\n", err)
		return
	}
	up, err := net.Dial("tcp", to.String())
	if err != nil {
		fmt.Fprintf(c, "dial %v: %v\n", to, err)
		return
	}
	defer up.Close()
	fmt.Fprintf(c, "via=%v ", to)
	done := make(chan bool, 2)
	go func() { copyPlain(up, c); up.(*net.TCPConn).CloseWrite(); done <- true }()
	go func() { copyPlain(c, up); c.CloseWrite(); done <- true }()
	<-done
	<-done
}

// copyPlain reads and writes: io.Copy would splice, which sockets of a socket
// map do not support.
func copyPlain(dst io.Writer, src io.Reader) {
	io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
}

func originalDst(c *net.TCPConn) (addr netip.AddrPort, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return addr, err
	}
	cerr := rc.Control(func(fd uintptr) {
		var b [unix.SizeofSockaddrAny]byte
		n := uint32(len(b))
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_IP, unix.SO_ORIGINAL_DST,
			uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
		port := binary.BigEndian.Uint16(b[2:])
		switch family := binary.NativeEndian.Uint16(b[:]); {
		case e != 0:
			err = e
		case family == unix.AF_INET && n == unix.SizeofSockaddrInet4:
			addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), port)
		case family == unix.AF_INET6 && n == unix.SizeofSockaddrInet6:
			addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), port)
		default:
			err = fmt.Errorf("family %d, length %d", family, n)
		}
	})
	return addr, errors.Join(err, cerr)
}

// call answers "GREETING peer=ADDRESS".
func call(network, addr string, size int) (string, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	d.SetMultipathTCP(network == "mptcp")
	if network == "mptcp" {
		network = "tcp"
	}
	var c net.Conn
	var err error
	if port, ok := strings.CutPrefix(network, "from:"); ok {
		d.LocalAddr, err = net.ResolveTCPAddr("tcp4", "127.0.0.1:"+port)
		if err != nil {
			return "", err
		}
		network = "tcp4"
	}
	if network == "mapped" { // an IPv6 socket that dials an IPv4 address
		c, err = dialMapped(addr)
	} else {
		c, err = d.Dial(network, addr)
	}
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	greeting, err := r.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("no greeting: %w", err)
	}
	for sent := 0; sent < size; {
		out := make([]byte, min(1000, size-sent))
		for i := range out {
			out[i] = pattern(sent + i)
		}
		if _, err := c.Write(out); err != nil {
			return "", err
		}
		in := make([]byte, len(out))
		if _, err := io.ReadFull(r, in); err != nil {
			return "", err
		}
		if !bytes.Equal(in, out) {
			return "", fmt.Errorf("bytes from %d came back changed", sent)
		}
		sent += len(out)
	}
	return strings.TrimSpace(greeting) + " peer=" + c.RemoteAddr().String(), nil
}

func dialMapped(addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "mapped")
	defer f.Close()
	if err := unix.Connect(fd, &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// again answers the peer's address after each connect.
func again(addrs []string) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var peers []string
	for _, addr := range addrs {
		to, err := netip.ParseAddrPort(addr)
		if err != nil {
			return "", err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
			return "", err
		}
		sa, err := unix.Getpeername(fd)
		if err != nil {
			return "", err
		}
		in4 := sa.(*unix.SockaddrInet4)
		peers = append(peers, netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String())
		var unspecified unix.RawSockaddr // AF_UNSPEC disconnects
		if _, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified)); e != 0 {
			return "", e
		}
	}
	return strings.Join(peers, " "), nil
}

// burst answers "N intact": connections that send three messages at once, while
// the handshake is still under way, and close.
func burst(addr string, n int) (string, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", err
	}
	var intact atomic.Int64
	one := func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != unix.EINPROGRESS {
			return fmt.Errorf("connect: %v", err)
		}
		for m := range 3 {
			if err := writeMessage(fd, m); err != nil {
				return err
			}
		}
		err = wantIntact(fd)
		if err == nil {
			intact.Add(1)
		}
		return err
	}
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			for range n / cap(errs) {
				if err := one(); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		err = errors.Join(err, <-errs)
	}
	return fmt.Sprintf("%d intact", intact.Load()), err
}

// writeMessage writes message m of a stream of messages of 4 bytes, again until
// the socket is connected.
func writeMessage(fd, m int) error {
	b := []byte{pattern(4 * m), pattern(4*m + 1), pattern(4*m + 2), pattern(4*m + 3)}
	for {
		_, err := unix.Write(fd, b)
		if err != unix.EAGAIN && err != unix.ENOTCONN {
			return err
		}
	}
}

// wantIntact ends a stream of three messages and reads what a server of the
// command "whole" says of it.
func wantIntact(fd int) error {
	unix.Shutdown(fd, unix.SHUT_WR)
	unix.SetNonblock(fd, false)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	b := make([]byte, 64)
	n, err := unix.Read(fd, b)
	for tries := 0; err == unix.EAGAIN && tries < 10; tries++ { // see bpf/accel.bpf.c
		n, err = unix.Read(fd, b)
	}
	if err == nil && string(b[:n]) != "intact 12\n" {
		err = fmt.Errorf("the receiver says %q", b[:n])
	}
	return err
}

// fastOpen answers "N intact, M in the SYN": the first connection fetches the
// cookie, so M is at most N-1.
func fastOpen(addr string, n int) (string, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", err
	}
	inSYN := 0
	one := func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		first := []byte{pattern(0), pattern(1), pattern(2), pattern(3)}
		err = unix.Sendto(fd, first, unix.MSG_FASTOPEN, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		if err != nil {
			return err
		}
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.Options&tcpiOptSynData != 0 {
			inSYN++
		}
		for m := 1; m < 3; m++ {
			if err := writeMessage(fd, m); err != nil {
				return err
			}
		}
		return wantIntact(fd)
	}
	for i := range n {
		if err := one(); err != nil {
			return "", fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return fmt.Sprintf("%d intact, %d in the SYN", n, inSYN), nil
}

func attachFromJSON(accelerate bool, text string) error {
	var pod Pod
	if err := json.Unmarshal([]byte(text), &pod); err != nil {
		return err
	}
	c := config()
	c.Egress[0].Accelerate, c.Ingress[0].Accelerate = accelerate, accelerate
	a, err := Attach(c, pod)
	if err != nil {
		return err
	}
	return a.Close()
}

const tcpiOptSynData = 32 // TCPI_OPT_SYN_DATA: the peer acknowledged data of the SYN

// flood answers "WRITTEN BYTES; what the receiver says". The receiver is asked
// to wait by a stop of its process.
func flood(addr string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	n, buf := 0, make([]byte, 1<<16)
	for n < 1<<28 {
		for i := range buf {
			buf[i] = pattern(n + i)
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := c.Write(buf)
		n += k
		if err != nil {
			break
		}
	}
	fmt.Println("full", n)
	c.(*net.TCPConn).CloseWrite()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	verdict, err := bufio.NewReader(c).ReadString('\n')
	return fmt.Sprintf("%d; %s", n, verdict), err
}
