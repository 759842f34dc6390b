//go:build linux

package envoy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// The services that ADMs ask, at these addresses; nothing is at nobodyAt.
const (
	guardAt  = "guard.test:19998"
	limitsAt = "limits.test:19997"
	nobodyAt = "limits.test:19996"
)

// serveAsked serves all that ADMs ask at either end: names, keys, and the services
// above.
func serveAsked(t testing.TB, client, server *namespace) {
	serveDNS(t, client)
	serveDNS(t, server)
	serveKeys(t, server)
	serveGuard(t, server)
	serveLimits(t, server)
}

// guard is an authorization service. It refuses paths with "secret" in them, and
// does what the header x-guard says.
type guard struct {
	authv3.UnimplementedAuthorizationServer
}

func (guard) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	req := r.GetAttributes().GetRequest().GetHttp()
	refused := &authv3.CheckResponse{
		Status: &statuspb.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode_Unauthorized},
			Headers: []*corev3.HeaderValueOption{added("x-resp", "guard", corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)},
			Body:    strings.TrimSpace("the guard saw " + req.GetMethod() + " " + req.GetPath() + " " + forwarded(req.GetHeaders())),
		}},
	}
	switch req.GetHeaders()["x-guard"] {
	case "sleep":
		time.Sleep(2 * time.Second)
	case "meddle":
		return &authv3.CheckResponse{Status: &statuspb.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: []*corev3.HeaderValueOption{added("x-secret", "guard", corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)},
		}}}, nil
	}
	if strings.Contains(req.GetPath(), "secret") || req.GetHeaders()["x-guard"] == "no" {
		return refused, nil
	}
	return &authv3.CheckResponse{Status: &statuspb.Status{}}, nil
}

// forwarded are the headers of a request that say whence it was forwarded.
func forwarded(headers map[string]string) string {
	var out []string
	for name, value := range headers {
		if strings.Contains(name, "forwarded") {
			out = append(out, name+"="+value)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func serveGuard(t testing.TB, n *namespace) {
	srv := grpc.NewServer()
	authv3.RegisterAuthorizationServer(srv, guard{})
	go srv.Serve(n.listen(t, "0.0.0.0:19998"))
	t.Cleanup(srv.Stop)
}

// limits is a rate-limit service without configuration: it counts each
// descriptor to the limit that comes with it, in one window that does not end.
type limits struct {
	limitv3.UnimplementedRateLimitServiceServer
	mu    sync.Mutex
	count map[string]uint32
}

func (l *limits) ShouldRateLimit(_ context.Context, r *limitv3.RateLimitRequest) (*limitv3.RateLimitResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &limitv3.RateLimitResponse{OverallCode: limitv3.RateLimitResponse_OK}
	for _, d := range r.Descriptors {
		key := fmt.Sprint(r.Domain, d.Entries)
		l.count[key]++
		if d.Limit == nil || l.count[key] > d.Limit.RequestsPerUnit {
			out.OverallCode = limitv3.RateLimitResponse_OVER_LIMIT
		}
	}
	return out, nil
}

func serveLimits(t testing.TB, n *namespace) {
	srv := grpc.NewServer()
	limitv3.RegisterRateLimitServiceServer(srv, &limits{count: map[string]uint32{}})
	go srv.Serve(n.listen(t, "0.0.0.0:19997"))
	t.Cleanup(srv.Stop)
}
