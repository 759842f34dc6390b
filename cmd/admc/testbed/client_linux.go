package testbed

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// A Client is a process in a pod's application cgroup that sends requests, each
// on a connection of its own.
type Client struct {
	pod  *Pod
	proc *process
}

// A Request of a client: HTTP when URL is set, else TCP.
type Request struct {
	Method string `json:",omitempty"` // GET when empty
	URL    string `json:",omitempty"` // http://geo:8080/path
	Header http.Header
	Body   string `json:",omitempty"`
	Dial   string `json:",omitempty"` // geo:6379
}

// A Response to it. Err says why there is none: a refused or broken connection.
type Response struct {
	Err    string `json:",omitempty"`
	Status int
	Header http.Header
	Body   string // decoded, where it was gzip
	// Peer is the connection's other end as the client sees it.
	Peer string
}

// Client starts a client in the pod.
func (p *Pod) Client() *Client {
	p.bed.t.Helper()
	return &Client{pod: p, proc: p.start(p.appCgroup(), os.Stderr, "client")}
}

// Do sends a request and waits for its response.
func (c *Client) Do(r Request) Response {
	t := c.pod.bed.t
	t.Helper()
	if err := json.NewEncoder(c.proc.stdin).Encode(r); err != nil {
		t.Fatalf("the client in %s: %v", c.pod.Service, err)
	}
	var out Response
	if err := json.Unmarshal([]byte(c.proc.line()), &out); err != nil {
		t.Fatalf("the client in %s: %v", c.pod.Service, err)
	}
	return out
}

// Get is Do with headers given as pairs of a name and a value.
func (c *Client) Get(url string, headers ...string) Response {
	c.pod.bed.t.Helper()
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return c.Do(Request{URL: url, Header: h})
}

// TCP dials, sends a line, and gives the greeting and the line that came back
// as the body.
func (c *Client) TCP(addr, line string) Response {
	c.pod.bed.t.Helper()
	return c.Do(Request{Dial: addr, Body: line})
}

// Echo decodes what an HTTP server of the bed was asked. It fails the test when
// the response is not a server's.
func (c *Client) Echo(r Response) Echo {
	t := c.pod.bed.t
	t.Helper()
	var e Echo
	if err := json.Unmarshal([]byte(r.Body), &e); err != nil || e.Pod == "" {
		t.Fatalf("not a server's answer: %+v", r)
	}
	return e
}

const clientTimeout = 10 * time.Second

// runClient is the client's process: a request a line, a response a line.
func runClient(in io.Reader, out io.Writer) error {
	requests, responses := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r Request
		if err := requests.Decode(&r); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		do := doTCP
		if r.URL != "" {
			do = doHTTP
		}
		resp, err := do(r)
		if err != nil {
			resp.Err = err.Error()
		}
		if err := responses.Encode(resp); err != nil {
			return err
		}
	}
}

func doHTTP(r Request) (out Response, err error) {
	req, err := http.NewRequest(r.Method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return out, err
	}
	if r.Header != nil {
		req.Header = r.Header
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	transport := &http.Transport{DisableKeepAlives: true}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err == nil {
			out.Peer = c.RemoteAddr().String()
		}
		return c, err
	}
	client := http.Client{
		Transport:     transport,
		Timeout:       clientTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	coded := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" { // only where the request asked for it by itself
		if coded, err = gzip.NewReader(resp.Body); err != nil {
			return out, err
		}
	}
	body, err := io.ReadAll(coded)
	out.Status, out.Header, out.Body = resp.StatusCode, resp.Header, string(body)
	return out, err
}

func doTCP(r Request) (out Response, err error) {
	c, err := net.DialTimeout("tcp", r.Dial, clientTimeout)
	if err != nil {
		return out, err
	}
	defer c.Close()
	out.Peer = c.RemoteAddr().String()
	c.SetDeadline(time.Now().Add(clientTimeout))
	if _, err := fmt.Fprintln(c, r.Body); err != nil {
		return out, err
	}
	in := bufio.NewReader(c)
	for range 2 {
		line, err := in.ReadString('\n')
		out.Body += line
		if err != nil {
			return out, err
		}
	}
	return out, nil
}
