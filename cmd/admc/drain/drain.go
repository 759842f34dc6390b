// Package drain empties an ADM before its pod ends.
//
// In: the socket of an Envoy's admin interface, as layout.AdminSocket has it.
// Out: nothing that came in is open any more, or an error that says what is. The
// proxy itself goes on: whoever runs it ends it.
package drain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admc.dev/admc/emit/layout"
)

// Options of a drain.
type Options struct {
	// Socket of the admin interface; a name that begins with @ is an abstract one.
	Socket string
	// Quiet is for how long nothing may have come until nothing is thought to come
	// any more: those who have yet to hear that the pod goes still send.
	Quiet time.Duration
}

// interval between two looks at the proxy.
const interval = 100 * time.Millisecond

// Until asks the proxy to tell its callers to go, and returns when no request and
// no byte stream is open and none has come for a while. HTTP connections without
// a request may be left: their clients find them closed, and connect again. A
// byte stream is waited for until its end: only the two that speak on it know
// when that is. When ctx ends first, and something is open, the error is an Open.
func Until(ctx context.Context, o Options) error {
	a := admin{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Socket)
		},
	}}}
	if err := a.fail(ctx); err != nil {
		return err
	}
	var last load
	looked := false
	for since := time.Now(); ; looked = true {
		now, err := a.load(ctx)
		if err != nil {
			if ctx.Err() != nil && looked {
				return last.open()
			}
			return err
		}
		if now.Came != last.Came {
			since = time.Now()
		}
		last = now
		if last.open() == nil && time.Since(since) >= o.Quiet {
			return nil
		}
		select {
		case <-ctx.Done():
			return last.open()
		case <-time.After(interval):
		}
	}
}

// Open is the error of a drain that had to end before it was done.
type Open struct{ load load }

func (o Open) Error() string {
	return fmt.Sprintf("still open: %d requests on %d HTTP connections, and %d byte streams", o.load.Requests, o.load.Connections, o.load.Streams)
}

// load is what came in and is there.
type load struct {
	Connections int    // of HTTP
	Requests    int    // open on them, WebSockets and gRPC streams included
	Streams     int    // connections of byte streams
	Came        uint64 // requests and connections since the proxy started
}

type admin struct{ *http.Client }

// fail makes Envoy say to every caller that it is about to go (admin interface,
// POST /healthcheck/fail).
func (a admin) fail(ctx context.Context) error {
	return a.do(ctx, http.MethodPost, layout.DrainPath, func(io.Reader) error { return nil })
}

// load reads Envoy's gauges of the inbound listeners.
func (a admin) load(ctx context.Context) (out load, err error) {
	filter := `^(listener\.ingress_[0-9]+\.downstream_cx_(active|total)|http\.ingress_[0-9]+\.downstream_rq_(active|total))$`
	err = a.do(ctx, http.MethodGet, layout.StatsPath+"?filter="+url.QueryEscape(filter), func(r io.Reader) error {
		out, err = parse(r)
		return err
	})
	return out, err
}

func (a admin) do(ctx context.Context, method, path string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, nil)
	if err != nil {
		return err
	}
	resp, err := a.Do(req)
	if err != nil {
		return fmt.Errorf("ask the proxy: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the proxy: %s %s: %s", method, path, resp.Status)
	}
	return read(resp.Body)
}

// parse adds up statistics in Envoy's text form, `name: value` a line. A listener
// that has a connection manager of its name is one of HTTP.
func parse(r io.Reader) (load, error) {
	var out load
	open := map[string]int{} // connections by listener
	http := map[string]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), ": ")
		value, err := strconv.ParseUint(text, 10, 64)
		parts := strings.Split(name, ".")
		if err != nil || len(parts) != 3 {
			return out, fmt.Errorf("not a statistic of the proxy: %q", lines.Text())
		}
		listener := parts[1]
		switch parts[2] {
		case "downstream_cx_active":
			open[listener] = int(value)
		case "downstream_rq_active":
			http[listener] = true
			out.Requests += int(value)
		case "downstream_rq_total", "downstream_cx_total":
			out.Came += value
		}
	}
	for listener, n := range open {
		if http[listener] {
			out.Connections += n
		} else {
			out.Streams += n
		}
	}
	return out, lines.Err()
}

// open is nil when nothing is.
func (l load) open() error {
	if l.Requests == 0 && l.Streams == 0 {
		return nil
	}
	return Open{l}
}
