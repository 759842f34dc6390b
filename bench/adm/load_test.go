package adm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"admc.dev/admc/graph"
)

// The request that all rows are measured with: what a service asks another, with
// the headers that come with it, and an answer of a kilobyte.
const requestSize, answerSize = 256, 1024

func requestHeaders(token string) [][2]string {
	return [][2]string{
		{"accept", "application/json"},
		{"accept-encoding", "gzip"},
		{"authorization", "Bearer " + token},
		{"origin", "https://shop.example.com"},
		{"x-bench", "bench"},
		{"x-request-id", "0d3fdd6d-6bd4-4c7f-a3a2-0c6a0a7a7a7a"},
	}
}

// jsonOf is a JSON text of a size, as compressible as such texts are.
func jsonOf(size int) string {
	var w strings.Builder
	w.WriteString(`{"orders": [`)
	for i := 0; w.Len() < size; i++ {
		fmt.Fprintf(&w, `{"id": %d, "state": "sent", "total": %d.%02d, "items": [%d, %d]}, `, 1000+i*37, i*13%91, i*7%100, i*3, i*11)
	}
	return w.String()[:size-2] + "]}"
}

// serveLoad is the role of a service: PLANE PORT.
func serveLoad(args []string) error {
	l, err := net.Listen("tcp4", "0.0.0.0:"+args[1])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	switch graph.Plane(args[0]) {
	case graph.HTTP:
		answer := []byte(jsonOf(answerSize))
		return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			w.Write(answer)
		}))
	case graph.GRPC:
		srv := grpc.NewServer()
		healthpb.RegisterHealthServer(srv, healthy{})
		return srv.Serve(l)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

type healthy struct {
	healthpb.UnimplementedHealthServer
}

func (healthy) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// load is what the client's role answers to a number of requests: the time that
// each took, in nanoseconds, or what went wrong.
type load struct {
	Took []int64
	Err  string `json:",omitempty"`
}

// runLoad is the role of a client: PLANE ADDRESS TOKEN. It reads numbers of
// requests, and sends that many one after the other.
func runLoad(args []string) error {
	ask, err := map[graph.Plane]func(address, token string) (func() error, error){
		graph.HTTP: webLoad, graph.GRPC: rpcLoad, graph.TCP: streamLoad,
	}[graph.Plane(args[0])](args[1], args[2])
	if err != nil {
		return err
	}
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var n int
		if _, err := fmt.Sscan(in.Text(), &n); err != nil {
			return err
		}
		said := load{Took: make([]int64, 0, n)}
		for range n {
			start := time.Now()
			if err := ask(); err != nil {
				said.Err = err.Error()
				break
			}
			said.Took = append(said.Took, time.Since(start).Nanoseconds())
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
	return in.Err()
}

const loadTimeout = 30 * time.Second // of one request

// webLoad asks over one HTTP/1.1 connection.
func webLoad(address, token string) (func() error, error) {
	var c net.Conn
	var r *bufio.Reader
	body := jsonOf(requestSize)
	var head strings.Builder
	fmt.Fprintf(&head, "POST /orders/17?full=1 HTTP/1.1\r\nhost: %s\r\nuser-agent: bench\r\n", address)
	fmt.Fprintf(&head, "content-type: application/json\r\ncontent-length: %d\r\n", len(body))
	for _, h := range requestHeaders(token) {
		fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
	}
	request := []byte(head.String() + "\r\n" + body)
	return func() error {
		if c == nil {
			var err error
			if c, err = net.DialTimeout("tcp4", address, loadTimeout); err != nil {
				return err
			}
			r = bufio.NewReader(c)
		}
		c.SetDeadline(time.Now().Add(loadTimeout))
		if _, err := c.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != 200 || n == 0 || resp.Close {
			return fmt.Errorf("status %d, %d bytes, close %v", resp.StatusCode, n, resp.Close)
		}
		return nil
	}, nil
}

// rpcLoad asks over one HTTP/2 connection.
func rpcLoad(address, token string) (func() error, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry())
	if err != nil {
		return nil, err
	}
	client, request := healthpb.NewHealthClient(conn), &healthpb.HealthCheckRequest{Service: jsonOf(requestSize)}
	md := metadata.MD{}
	for _, h := range requestHeaders(token) {
		if h[0] != "accept-encoding" { // gRPC has its own
			md.Set(h[0], h[1])
		}
	}
	return func() error {
		ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.Background(), md), loadTimeout)
		defer cancel()
		_, err := client.Check(ctx, request)
		return err
	}, nil
}

// streamLoad makes a connection for each request, and has some bytes echoed.
func streamLoad(address, _ string) (func() error, error) {
	sent, got := []byte(jsonOf(requestSize)), make([]byte, requestSize)
	return func() error {
		c, err := net.DialTimeout("tcp4", address, loadTimeout)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(loadTimeout))
		if _, err := c.Write(sent); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
		if string(got) != string(sent) {
			return errors.New("the echo is another")
		}
		return nil
	}, nil
}
