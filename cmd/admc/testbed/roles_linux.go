package testbed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/websocket"
	"golang.org/x/sys/unix"

	"admc.dev/admc/emit/layout"
)

// roleVariable tells this binary that it is a process of a pod. Its value is
// the directory of the pod's hosts and resolv.conf; the arguments are the role:
//
//	exec PROGRAM ARGS…        becomes another program
//	adm PROGRAM ARGS…         the same, with the directory that only an ADM's container has
//	as USER PROGRAM ARGS…     the same, as another user
//	http POD PORT             a server that answers with what it was asked, see Echo
//	grpc POD PORT             a server that sends back what it gets, see Talk
//	tcp POD PORT              a server that greets with "POD\n" and sends back what it gets
//	set POD PORT MEMBER,…     a member of a replica set, see SetMember
//	client                    sends requests, see Client
//	dialer                    connects for the test, see Pod.Dial
//
// and those that a package brings, see Role.
const roleVariable = "ADMC_TESTBED_POD"

// runDir is where a pod keeps, beside its /etc, the directory of its ADM's admin
// socket.
const runDir = "admc.run"

// A Role is what a process of a pod does that a package of tests brings itself.
// Play gets the arguments; its end ends the process.
type Role struct {
	Name string
	Play func(args []string) error
}

// Main plays the role of a process that a Bed started, and does not return then.
// It is the first call of TestMain in a package that uses the bed.
func Main(own ...Role) {
	etc := os.Getenv(roleVariable)
	if etc == "" {
		return
	}
	os.Unsetenv(roleVariable)
	if err := play(etc, os.Args[1:], own); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(etc string, args []string, own []Role) error {
	if err := syscall.Mount("overlay", "/etc", "overlay", syscall.MS_RDONLY, "lowerdir="+etc+":/etc"); err != nil {
		return fmt.Errorf("give the pod its /etc: %w", err)
	}
	// A watch in an overlay doesn't see what changes below it.
	if tls := filepath.Join(etc, "admc", "tls"); isDirectory(tls) {
		if err := syscall.Mount(tls, "/etc/admc/tls", "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("give the pod its certificates: %w", err)
		}
	}
	switch role := args[0]; role {
	case "exec":
		return become(args[1:])
	case "adm":
		run := filepath.Dir(layout.AdminSocket)
		if err := os.MkdirAll(run, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(filepath.Join(etc, runDir), run, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("give the ADM its %s: %w", run, err)
		}
		return become(args[1:])
	case "as":
		if err := takeUser(args[1]); err != nil {
			return fmt.Errorf("become the user %s: %w", args[1], err)
		}
		return become(args[2:])
	case "http":
		return serve(args[2], func(l net.Listener) error {
			srv := http.Server{Handler: echoHandler(args[1]), Protocols: new(http.Protocols)}
			srv.Protocols.SetHTTP1(true)
			srv.Protocols.SetUnencryptedHTTP2(true)
			return srv.Serve(l)
		})
	case "tcp":
		return serve(args[2], func(l net.Listener) error { return serveEcho(l, args[1]) })
	case "grpc":
		return serve(args[2], func(l net.Listener) error { return serveTalk(l, args[1]) })
	case "set":
		return serve(args[2], func(l net.Listener) error { return serveSet(l, args[1], strings.Split(args[3], ",")) })
	case "dialer":
		return runDialer(os.NewFile(3, "connections"))
	case "client":
		return runClient(os.Stdin, os.Stdout)
	default:
		for _, r := range own {
			if r.Name == role {
				return r.Play(args[1:])
			}
		}
		return fmt.Errorf("unknown role %q", role)
	}
}

func isDirectory(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// become is exec: what it gives is an error.
func become(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("become %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}

// takeUser gives up root. The kernel then forgets that the process dies with its
// parent, so that is said again.
func takeUser(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0)
}

// serve says "ready" when the port is open.
func serve(port string, f func(net.Listener) error) error {
	l, err := net.Listen("tcp4", "0.0.0.0:"+port)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return f(l)
}

// An Echo is what an HTTP server of the bed answers: the request as it came. A
// WebSocket at any path has its messages sent back instead.
// The query's `status` is the answer's status, its `sleep` (a duration) how long
// it takes. Where the query has a `via`, HOST:PORT,…, the server asks the first of
// them on behalf of its caller, as one that is instrumented does: it passes the
// baggage on, and the rest of `via`; and it answers what it is answered.
type Echo struct {
	Pod    string // the service, and which of its pods
	Method string
	URI    string
	Host   string
	Header http.Header
	Body   string
	From   string // address and port of the connection's other end
}

func echoHandler(pod string) http.Handler {
	socket := websocket.Server{Handler: func(c *websocket.Conn) { io.Copy(c, c) }} // asks for no origin
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			socket.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the connection broke
		}
		if d, err := time.ParseDuration(r.URL.Query().Get("sleep")); err == nil {
			time.Sleep(d)
		}
		if r.URL.Query().Has("via") {
			forward(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if status, err := strconv.Atoi(r.URL.Query().Get("status")); err == nil {
			w.WriteHeader(status)
		}
		json.NewEncoder(w).Encode(Echo{
			Pod: pod, Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header, Body: string(body), From: r.RemoteAddr,
		})
	})
}

func forward(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	next, rest, more := strings.Cut(query.Get("via"), ",")
	if query.Del("via"); more {
		query.Set("via", rest)
	}
	to := url.URL{Scheme: "http", Host: next, Path: r.URL.Path, RawQuery: query.Encode()}
	req, err := http.NewRequest(r.Method, to.String(), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req.Header["Baggage"] = r.Header["Baggage"]
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: clientTimeout}).Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body)
}

func serveEcho(l net.Listener, pod string) error {
	return accept(l, func(c net.Conn) {
		fmt.Fprintln(c, pod)
		io.Copy(c, c)
	})
}

// accept gives each connection to serve, in a goroutine of its own, and closes it
// when that is done. Its error is the listener's.
func accept(l net.Listener, serve func(net.Conn)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}
