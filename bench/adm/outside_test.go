package adm

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The parties that some actions ask, by method.
const (
	authorization = "/envoy.service.auth.v3.Authorization/Check"
	rateLimits    = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
	collector     = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
)

// answers as protobuf: that the request may pass (CheckResponse.status, of code
// OK), that the budget holds (RateLimitResponse.overall_code: OK), that the spans
// have come.
var answers = map[string][]byte{authorization: {0x0a, 0}, rateLimits: {0x08, 1}, collector: {}}

// serveOutside is the role of all of them: PORT. Asked for a method, it says how
// often it was called.
func serveOutside(args []string) error {
	l, err := net.Listen("tcp4", "0.0.0.0:"+args[0])
	if err != nil {
		return err
	}
	calls := map[string]*atomic.Int64{}
	for method := range answers {
		calls[method] = &atomic.Int64{}
	}
	srv := grpc.NewServer(grpc.ForceServerCodec(asItIs{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		answer, known := answers[method]
		if !known {
			return status.Error(codes.Unimplemented, method)
		}
		var question []byte
		if err := s.RecvMsg(&question); err != nil {
			return err
		}
		calls[method].Add(1)
		return s.SendMsg(&answer)
	}))
	fmt.Println("ready")
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			fmt.Println(calls[in.Text()].Load())
		}
	}()
	return srv.Serve(l)
}

// asItIs leaves messages undecoded.
type asItIs struct{}

func (asItIs) Name() string                  { return "proto" }
func (asItIs) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (asItIs) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
