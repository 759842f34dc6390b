//go:build linux

package envoy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// unreadable are the actions on grpc that gRPC's xDS client does not do, or not as
// they are emitted, with what it says against the file; "" where it passes over
// what it doesn't know.
var unreadable = []struct{ call, against string }{
	{`jwt(issuer: "i", jwks: "{\"keys\":[{\"kty\":\"oct\",\"k\":\"YQ\"}]}")`, "jwt_authn"},
	{`ext_authz(address: "guard.test:19998")`, dotsName}, // which stands before it, and is for servers only
	{`mtls()`, "tls_params"},
	{`rate_limit(rate: 1/h, burst: 1)`, "LocalRateLimit"},
	{`concurrency_limit(1)`, "AdaptiveConcurrency"},
	{`bandwidth_limit(1KiB)`, "BandwidthLimit"},
	{`set_header("x-a", "1")`, "HeaderMutation"},
	{`append_header("x-a", "1")`, "HeaderMutation"},
	{`remove_header("x-a")`, "HeaderMutation"},
	{`metric("m")`, ""},
	{`access_log()`, ""},
	{`trace("collector.test:19998")`, ""},
	{`tag("a", "1")  trace("collector.test:19998")`, ""},
	{`connect_timeout(1s)`, ""},
	{`idle_timeout(1s)`, ""},
	{`hedge(after: 1ms)`, ""},
	{`outlier_detection(errors: 1)`, ""},
	{`mirror(version: "v2")`, ""},
	{`locality()`, ""},
	{`lb(policy: random)`, "lbPolicy"},
	{`when { request.headers["x-user"] == "a" }  route(version: "v2")`, "set_filter_state"},
	{`sample 50%  route(version: "v2")`, "ExtensionWithMatcher"},
}

// unreadableAtServer are those that only the receiver's side does.
var unreadableAtServer = []struct{ call, against string }{
	{`max_body(1B)`, "BodySizeLimit"},
	{`ext_authz(address: "guard.test:19998")`, "ExtAuthz"},
}

// httpOnly are the actions that the checker refuses on grpc.
var httpOnly = []string{`cors(["https://a.test"])`, `rewrite(prefix: "/a/", with: "/b/")`, `redirect(path: "/a")`, `respond()`, `compress()`}

// TestEveryActionIsReadOrNot: an action of the prelude that is new to this file
// belongs into one of its tables.
func TestEveryActionIsReadOrNot(t *testing.T) {
	var all strings.Builder
	for _, r := range readings() {
		all.WriteString(" " + r.text)
	}
	for _, u := range slices.Concat(unreadable, unreadableAtServer) {
		all.WriteString(" " + u.call)
	}
	for _, call := range httpOnly {
		x := reading{text: call, side: ir.Egress}
		if _, _, bag := x.trial().checked(20000); !slices.ContainsFunc(bag.All(), func(d *diag.Diagnostic) bool { return strings.Contains(d.Message, "grpc") }) {
			t.Errorf("%s is not refused on grpc", call)
		}
		all.WriteString(" " + call)
	}
	for _, name := range lang.ActionNames() {
		if !strings.Contains(all.String(), " "+name+"(") {
			t.Errorf("%s is in none of the tables", name)
		}
	}
}

// TestUnreadByGRPC: what gRPC does not do it says it does not do, or does the call
// without it.
func TestUnreadByGRPC(t *testing.T) {
	n := newNamespace(t, "u")
	run(t, "", "ip", "-n", n.name, "addr", "add", serverIP+"/32", "dev", "lo")
	for _, ips := range hosts {
		for _, ip := range ips {
			if ip != serverIP {
				run(t, "", "ip", "-n", n.name, "addr", "replace", ip+"/32", "dev", "lo")
			}
		}
	}
	const port = 20000
	app := serve(t, n, port, graph.GRPC)
	for _, u := range unreadable {
		t.Run(u.call, func(t *testing.T) {
			r := reading{text: u.call, side: ir.Egress}
			x := r.placed(t, port)
			app.requests.Store(0)
			conn := dialXDS(t, n, string(r.file(t, x)), port, fmt.Sprintf("egress_server_%d", port))
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			ask := func() error {
				_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "x"})
				return err
			}
			// Before it is told of the file, gRPC may say only that it knows no address.
			err := ask()
			for status.Code(err) == codes.Unavailable && !strings.Contains(err.Error(), u.against) && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
				err = ask()
			}
			reached := app.requests.Load()
			switch {
			case u.against == "" && (err != nil || reached != 1):
				t.Errorf("%v, %d reached", err, reached)
			case u.against != "" && (status.Code(err) != codes.Unavailable || reached != 0 || !strings.Contains(err.Error(), u.against)):
				t.Errorf("%v, %d reached", err, reached)
			}
		})
	}
	for _, u := range unreadableAtServer {
		t.Run(u.call, func(t *testing.T) {
			r := reading{text: u.call, side: ir.Ingress}
			x := r.placed(t, port)
			if got := r.atServer(t, newNamespace(t, "x"), string(r.file(t, x)), port); !strings.Contains(got, u.against) {
				t.Errorf("gRPC's server says %s", got)
			}
		})
	}
}
