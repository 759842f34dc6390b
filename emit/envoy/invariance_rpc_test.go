//go:build linux

package envoy

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The calls of trials on grpc: one message there, and one back.

// rpcPath is the method of a call without a path.
const rpcPath = "/shop.Cart/Get"

// seenOfRPC are the headers of a call that a policy may have changed.
func seenOfRPC(name string) bool {
	return name == "authorization" || strings.HasPrefix(name, "x-") && name != "x-request-id" && name != "x-forwarded-for" && !strings.HasPrefix(name, "x-envoy-")
}

// serveRPC answers every method.
func (w *witness) serveRPC(_ any, s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	md, _ := metadata.FromIncomingContext(s.Context())
	m := &wrapperspb.StringValue{}
	if err := s.RecvMsg(m); err != nil {
		return err
	}
	told := fmt.Sprintf("%s%s", strings.Join(md[":authority"], ","), method)
	for _, name := range slices.Sorted(maps.Keys(md)) {
		if seenOfRPC(name) {
			told += fmt.Sprintf(" %s=%q", name, strings.Join(md[name], ","))
		}
	}
	if len(m.Value) > 0 {
		told += fmt.Sprintf(" body=%d", len(m.Value))
	}
	if len(md["traceparent"]) > 0 {
		told += " traced"
	}
	first := func(name string) string { return strings.Join(md[name], ",") }
	pod := "?"
	if p, ok := peer.FromContext(s.Context()); ok {
		pod = localVersion(p.LocalAddr)
	}
	n := w.note(first("x-request-id"), arrival{pod, told, first("x-forwarded-for") != ""})
	code, delay := answering(first("x-fail"), first("x-slow"), n, 0)
	time.Sleep(delay)
	if code != 0 { // goes out as one frame, as servers send it
		s.SetTrailer(metadata.New(rpcHeaders))
		return status.Error(codes.Code(code), receiverBody)
	}
	s.SetHeader(metadata.New(rpcHeaders))
	return s.SendMsg(wrapperspb.String("an answer"))
}

var rpcHeaders = map[string]string{"x-back": "app", "x-powered-by": "go"}

// sendRPC gives the code, the message and the headers of a call's answer.
func sendRPC(from dialer, to string) (send func(attempted) string, done func()) {
	conn, err := grpc.NewClient("passthrough:///"+to, grpc.WithAuthority("shop.test"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithContextDialer(from.dialTCP))
	if err != nil {
		return func(attempted) string { return err.Error() }, func() {}
	}
	return func(r attempted) string {
		ctx, cancel := context.WithCancel(context.Background()) // a deadline would be told to the proxies
		defer cancel()
		defer time.AfterFunc(10*time.Second, cancel).Stop()
		ctx = metadata.AppendToOutgoingContext(ctx, append([]string{"x-request-id", r.ID}, r.Headers...)...)
		var header, trailer metadata.MD
		out := &wrapperspb.StringValue{}
		err := conn.Invoke(ctx, rpcPath, wrapperspb.String(strings.Repeat("x", r.Body)), out, grpc.Header(&header), grpc.Trailer(&trailer), grpc.WaitForReady(true))
		s, _ := status.FromError(err)
		if err == nil && out.Value != "an answer" {
			return fmt.Sprintf("OK with %q", out.Value)
		}
		return came(int(s.Code()), s.Message(), func(name string) string {
			return strings.Join(append(slices.Clone(header[name]), trailer[name]...), ",")
		})
	}, func() { conn.Close() }
}

func (d dialer) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	return d.dial(ctx, "tcp", address)
}
