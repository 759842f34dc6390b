//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"admc.dev/admc/cmd/admc/testbed"
)

// streamGraph: one caller of what stays open.
const streamGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: streams, namespace: default}
services:
  app:  {}
  chat: {ports: [{name: web, port: 8080, protocol: http}, {name: rpc, port: 9000, protocol: grpc}]}
calls:
  - {from: app, to: chat, port: web}
  - {from: app, to: chat, port: rpc}
`

// streamPolicies, with a side and whose calls.
const streamPolicies = `
	@%[1]s policy members {
	    on   %[2]s -> chat : http
	    when { request.url_path.startsWith("/private") }
	    deny()
	}
	@%[1]s policy known {
	    on   %[2]s -> chat : grpc
	    when { request.headers["x-caller"] == "mallory" }
	    deny()
	}
	@%[1]s policy marked { on %[2]s -> chat : http  set_header("x-mark", "1", of: "response") }`

// TestStreams: a WebSocket and a gRPC stream stay open and carry messages both
// ways for as long as they like; policies decide who may open one.
func TestStreams(t *testing.T) {
	for _, tc := range []struct{ side, callers, adm string }{
		{"egress", "app", "app"}, {"ingress", "*", "chat"}, {"no policy", "", ""},
	} {
		t.Run(tc.side, func(t *testing.T) {
			t.Parallel()
			policed := tc.adm != ""
			bed := testbed.New(t)
			pods := map[string]*testbed.Pod{"app": bed.Pod("app", "default"), "chat": bed.Pod("chat", "default")}
			pods["chat"].HTTP(8080)
			pods["chat"].GRPC(9000)
			var adm *testbed.ADM
			if policed {
				adm = pods[tc.adm].ADM(compileForTest(t, streamGraph, fmt.Sprintf(streamPolicies, tc.side, tc.callers)))
			}
			t.Run("websocket", func(t *testing.T) {
				_, err := dialWebSocket(t, pods["app"], "/private/room")
				if refused := errors.Is(err, websocket.ErrBadStatus); refused != policed {
					t.Errorf("a private room: %v", err)
				}
				c, err := dialWebSocket(t, pods["app"], "/room")
				if err != nil {
					t.Fatal(err)
				}
				for i := range 1000 {
					exchange(t, c, fmt.Sprintf("message %d", i))
				}
				exchange(t, c, strings.Repeat("long ", 200_000))
				// The end comes through as well, from either side.
				c.WriteClose(1000)
				if n, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("after the close: %d bytes, %v", n, err)
				}
			})
			t.Run("grpc", func(t *testing.T) {
				cc := dialTalk(t, pods["app"])
				if _, err := openTalk(t, cc, "x-caller", "mallory"); (status.Code(err).String() == "PermissionDenied") != policed {
					t.Errorf("mallory: %v", err)
				}
				s, err := openTalk(t, cc)
				if err != nil {
					t.Fatal(err)
				}
				const n = 2000
				go func() { // ahead of the answers
					for i := range n {
						s.SendMsg(wrapperspb.String(fmt.Sprint(i)))
					}
					s.CloseSend()
				}()
				var m wrapperspb.StringValue
				for i := range n {
					if err := s.RecvMsg(&m); err != nil || m.Value != fmt.Sprint(i) {
						t.Fatalf("message %d is %q, %v", i, m.Value, err)
					}
				}
				if err := s.RecvMsg(&m); err != io.EOF {
					t.Errorf("the end: %v", err)
				}
			})
			if !policed {
				return
			}
			if c, err := adm.Counters(); err != nil || c.Accepted+c.Inbound < 3 {
				t.Errorf("what went through the ADM: %+v, %v", c, err)
			}
		})
	}
}

// dialWebSocket opens a WebSocket at chat.
func dialWebSocket(t *testing.T, from *testbed.Pod, path string) (*websocket.Conn, error) {
	t.Helper()
	config, err := websocket.NewConfig("ws://chat:8080"+path, "http://app")
	if err != nil {
		t.Fatal(err)
	}
	c, err := from.Dial("chat:8080")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return websocket.NewClient(config, c)
}

// exchange sends a message on a WebSocket and wants it back.
func exchange(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := websocket.Message.Send(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("of %d bytes came %.40q, %v", len(text), got, err)
	}
}

// dialTalk makes a client of chat; it connects with its first stream.
func dialTalk(t *testing.T, from *testbed.Pod) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///chat:9000", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return from.Dial(addr) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// openTalk opens a stream with metadata and takes the server's first message.
func openTalk(t *testing.T, cc *grpc.ClientConn, pairs ...string) (grpc.ClientStream, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), pairs...), time.Minute)
	t.Cleanup(cancel)
	s, err := cc.NewStream(ctx, &testbed.TalkStream, testbed.Talk)
	if err != nil {
		return nil, err
	}
	var m wrapperspb.StringValue
	return s, s.RecvMsg(&m)
}

// say sends a message on a stream and wants it back.
func say(t *testing.T, s grpc.ClientStream, text string) {
	t.Helper()
	var m wrapperspb.StringValue
	if err := s.SendMsg(wrapperspb.String(text)); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(&m); err != nil || m.Value != text {
		t.Fatalf("of %q came %q, %v", text, m.Value, err)
	}
}
