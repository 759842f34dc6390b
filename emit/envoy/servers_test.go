//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/graph"
)

// An app is a server on one port of the server's pod, on all of its addresses.
type app struct {
	accepted atomic.Int64 // connections
	requests atomic.Int64
	mu       sync.Mutex
	arrived  []string     // http: pod, method, URI, length of the body
	busy     atomic.Int64 // requests at work
	peak     atomic.Int64 // the most that were
}

var versionOf = map[string]string{serverIP: "-", v1IP: "v1", v2IP: "v2", p4IP: "p4"}

// steps makes the nth request to a port do the nth thing of a list: wait for
// milliseconds (s800), or fail with a status. After the last it does nothing.
func (a *app) steps(list string, n int64) (status int) {
	all := strings.Split(list, ",")
	if n > int64(len(all)) {
		return 0
	}
	step := all[n-1]
	if ms, waits := strings.CutPrefix(step, "s"); waits {
		d, _ := strconv.Atoi(ms)
		time.Sleep(time.Duration(d) * time.Millisecond)
		return 0
	}
	status, _ = strconv.Atoi(step)
	return status
}

func (a *app) note(arrival string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrived = append(a.arrived, arrival)
}

func (a *app) arrivals() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.arrived)
}

func localVersion(a net.Addr) string {
	host, _, _ := net.SplitHostPort(a.String())
	return versionOf[host]
}

type countingListener struct {
	net.Listener
	app *app
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.app.accepted.Add(1)
	}
	return c, err
}

func serve(t testing.TB, n *namespace, port int, plane graph.Plane) *app {
	a := &app{}
	l := countingListener{n.listen(t, fmt.Sprintf("0.0.0.0:%d", port)), a}
	switch plane {
	case graph.HTTP:
		srv := &http.Server{Handler: a, Protocols: new(http.Protocols)}
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
	case graph.GRPC:
		srv := grpc.NewServer()
		healthpb.RegisterHealthServer(srv, &grpcApp{app: a})
		srv.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Talk", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{talk}}, a)
		go srv.Serve(l)
		t.Cleanup(srv.Stop)
	default:
		go a.serveTCP(l)
	}
	return a
}

// seen is what the HTTP app tells of the request it got.
type seen struct {
	Version, Method, Host, URI, Proto, Body string
	Header                                  http.Header
}

// ServeHTTP answers with what it saw. The path asks for more: /status/N, /slow/MS,
// /flaky/N (503 until the Nth request to this port), /reset, /steps/LIST, and of
// one pod /illat/POD and /slowat/POD.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	count := a.requests.Add(1)
	for now := a.busy.Add(1); ; {
		if most := a.peak.Load(); now <= most || a.peak.CompareAndSwap(most, now) {
			break
		}
	}
	defer a.busy.Add(-1)
	verb, arg, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, _ := strconv.Atoi(arg)
	code := 200
	switch verb {
	case "status":
		code = n
	case "slow":
		time.Sleep(time.Duration(n) * time.Millisecond)
	case "flaky":
		io.Copy(io.Discard, r.Body)
		if count < int64(n) {
			code = 503
		}
	case "steps":
		io.Copy(io.Discard, r.Body)
		code = cmp.Or(a.steps(arg, count), code)
	case "illat":
		if arg == localVersion(r.Context().Value(http.LocalAddrContextKey).(net.Addr)) {
			code = 500
		}
	case "slowat":
		if arg == localVersion(r.Context().Value(http.LocalAddrContextKey).(net.Addr)) {
			time.Sleep(400 * time.Millisecond)
		}
	case "upgrade":
		conn, buf, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := buf.ReadString('\n')
		io.WriteString(conn, line)
		return
	case "duplex": // the answer begins before the request ends
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		io.Copy(io.Discard, r.Body)
		return
	case "resets":
		if count < int64(n) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
	}
	body, _ := io.ReadAll(r.Body)
	addr := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	a.note(fmt.Sprintf("%s %s %s%s %d", localVersion(addr), r.Method, r.Host, r.RequestURI, len(body)))
	for name, values := range r.Header { // what it is asked to answer with
		if name, asked := strings.CutPrefix(name, "Answer-"); asked {
			w.Header()[name] = values
		}
	}
	w.Header().Set("X-Resp", "app")
	w.Header().Set("Server", "app")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(seen{localVersion(addr), r.Method, r.Host, r.RequestURI, r.Proto, string(body), r.Header})
}

// grpcApp is a health service whose answers are told by the name asked for.
type grpcApp struct {
	healthpb.UnimplementedHealthServer
	app *app
}

func (g *grpcApp) Check(ctx context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	count := g.app.requests.Add(1)
	md, _ := metadata.FromIncomingContext(ctx)
	out := metadata.MD{"x-resp": {"app"}}
	for k, v := range md {
		out["seen-"+strings.TrimPrefix(k, ":")] = v
	}
	pod := "?"
	if p, ok := peer.FromContext(ctx); ok {
		pod = localVersion(p.LocalAddr)
	}
	out["x-pod"] = []string{pod}
	g.app.note(pod + " " + req.GetService())
	verb, arg, _ := strings.Cut(req.GetService(), "/")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "steps":
		g.app.steps(arg, count)
	case "illat":
		if arg == pod {
			return nil, status.Error(codes.Unavailable, "ill")
		}
	case "slow":
		time.Sleep(time.Duration(n) * time.Millisecond)
	case "flaky":
		if count < int64(n) {
			return nil, status.Error(codes.Unavailable, "flaky")
		}
	case "code":
		return nil, status.Error(codes.Code(n), "asked")
	}
	grpc.SetHeader(ctx, out) // an error goes out as one frame, as servers send it
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// talk is a stream both ways: each message is sent back.
var talk = grpc.StreamDesc{StreamName: "Talk", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
	for {
		m := &wrapperspb.StringValue{}
		if err := s.RecvMsg(m); err != nil {
			return err
		}
		if err := s.SendMsg(m); err != nil {
			return err
		}
	}
}}

// serveTCP speaks first, then echoes lines.
func (a *app) serveTCP(l net.Listener) {
	accept(l, func(c net.Conn) {
		fmt.Fprintf(c, "hello from %s\n", localVersion(c.LocalAddr()))
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			a.requests.Add(1)
			io.WriteString(c, "echo "+line)
		}
	})
}

// httpRequest is one request on a connection of its own.
type httpRequest struct {
	n       *namespace
	from    string // "": the client's address
	address string
	method  string // "": GET
	path    string
	header  map[string][]string
	h2      bool
	body    string
	limit   time.Duration // 0: 20 s
	chunked bool          // the length of the body is not said before
}

type httpAnswer struct {
	status  int
	header  http.Header
	body    string
	seen    seen // where the app answered
	elapsed time.Duration
	err     error
}

func (r httpRequest) do() httpAnswer {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return r.n.dialFrom(ctx, cmp.Or(r.from, clientIP), addr)
		},
		DisableKeepAlives: !r.h2, DisableCompression: true,
	}
	if r.h2 {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	defer tr.CloseIdleConnections()
	r.method = cmp.Or(r.method, "GET")
	r.limit = cmp.Or(r.limit, 20*time.Second)
	req, err := http.NewRequest(r.method, "http://"+r.address+r.path, strings.NewReader(r.body))
	if err != nil {
		return httpAnswer{err: err}
	}
	if r.chunked {
		req.ContentLength = -1
	}
	for k, lines := range r.header {
		for _, v := range lines {
			if http.CanonicalHeaderKey(k) == "Host" {
				req.Host = v
			}
			req.Header.Add(k, v)
		}
	}
	start := time.Now()
	resp, err := (&http.Client{Transport: tr, Timeout: r.limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return httpAnswer{err: err, elapsed: time.Since(start)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := httpAnswer{status: resp.StatusCode, header: resp.Header, body: string(body), elapsed: time.Since(start), err: err}
	json.Unmarshal(body, &a.seen)
	return a
}

// dialGRPC gives a client on one connection.
func dialGRPC(t testing.TB, n *namespace, address string) healthpb.HealthClient {
	return healthpb.NewHealthClient(connectGRPC(t, n, address))
}

func connectGRPC(t testing.TB, n *namespace, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return n.dial(ctx, addr) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// keysAt is where serveKeys answers.
const keysAt = "http://keys.test:19999/keys.json"

func serveKeys(t testing.TB, n *namespace) {
	l := n.listen(t, "0.0.0.0:19999")
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, testKeys) })}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
}

// accept gives each connection to serve, in a goroutine of its own, until the
// listener is closed, and closes it when that is done.
func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// refuseStreams answers the first n HTTP/2 streams of a port with
// REFUSED_STREAM, and the others as a gRPC server that has nothing to say.
func refuseStreams(t testing.TB, n *namespace, address string, refused int) {
	_, port, _ := net.SplitHostPort(address)
	l := n.listen(t, "0.0.0.0:"+port)
	var streams atomic.Int64
	go accept(l, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		fr := http2.NewFramer(c, c)
		fr.WriteSettings()
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
				fr.WriteSettingsAck()
			}
			if !f.Header().Flags.Has(http2.FlagDataEndStream) || f.Header().Type != http2.FrameData {
				continue
			}
			if streams.Add(1) <= int64(refused) {
				fr.WriteRSTStream(f.Header().StreamID, http2.ErrCodeRefusedStream)
				continue
			}
			answerGRPC(fr, f.Header().StreamID)
		}
	})
}

// answerGRPC is a whole gRPC answer: headers, one empty message, trailers.
func answerGRPC(fr *http2.Framer, stream uint32) {
	block := func(fields ...string) []byte {
		var b bytes.Buffer
		enc := hpack.NewEncoder(&b)
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return b.Bytes()
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true, BlockFragment: block(":status", "200", "content-type", "application/grpc")})
	fr.WriteData(stream, false, make([]byte, 5))
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true, EndStream: true, BlockFragment: block("grpc-status", "0")})
}
