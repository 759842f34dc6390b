package testbed

import (
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Talk is the method that a gRPC server of the bed has: a stream both ways of
// google.protobuf.StringValue. The first message that it sends is the pod's
// name, at once; then each that it gets is sent back. It ends when the client's
// side does.
const Talk = "/bed.Talk/Talk"

// TalkStream describes Talk to a client (grpc.ClientConn.NewStream).
var TalkStream = grpc.StreamDesc{StreamName: "Talk", ServerStreams: true, ClientStreams: true}

// GRPC starts a server on a port of the pod, see Talk.
func (p *Pod) GRPC(port int) { p.bed.t.Helper(); p.server("grpc", port) }

func serveTalk(l net.Listener, pod string) error {
	srv := grpc.NewServer()
	talk := TalkStream
	talk.Handler = func(_ any, s grpc.ServerStream) error {
		if err := s.SendMsg(wrapperspb.String(pod)); err != nil {
			return err
		}
		for {
			m := &wrapperspb.StringValue{}
			if err := s.RecvMsg(m); err != nil {
				if err == io.EOF {
					return nil
				}
				return err
			}
			if err := s.SendMsg(m); err != nil {
				return err
			}
		}
	}
	srv.RegisterService(&grpc.ServiceDesc{ServiceName: "bed.Talk", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{talk}}, nil)
	return srv.Serve(l)
}
