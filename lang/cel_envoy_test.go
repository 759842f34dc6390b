package lang

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/encoding/protojson"
)

// The proxy under test is the real one. Its configuration is written as JSON
// here, because go-control-plane stays in emit/envoy.

func envoyBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("ENVOY"); path != "" {
		return path
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path
	}
	path, err := filepath.Abs("../.tools/envoy/bin/envoy")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("no Envoy to test with: run `make demo`, or set ENVOY (%v)", err)
	}
	return path
}

type object = map[string]any

func typed(name, kind string, fields object) object {
	config := object{"@type": "type.googleapis.com/envoy.extensions." + kind}
	for k, v := range fields {
		config[k] = v
	}
	return object{"name": name, "typed_config": config}
}

func celJSON(t *testing.T, e *exprpb.Expr) json.RawMessage {
	t.Helper()
	text, err := protojson.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// denyIf are RBAC rules that refuse what the expression holds for.
func denyIf(t *testing.T, e *exprpb.Expr) object {
	anyone := []object{{"any": true}}
	return object{"action": "DENY", "policies": object{"p": object{
		"permissions": anyone, "principals": anyone, "condition": celJSON(t, e),
	}}}
}

// An httpListener answers 200, except where expression n of the list holds for
// a request with the header `x-case: n`: there it answers 403.
func httpListener(t *testing.T, name string, tls object, exprs []*exprpb.Expr) object {
	var routes []object
	for i, e := range exprs {
		rules := object{"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute", "rbac": object{"rules": denyIf(t, e)}}
		for kind, value := range map[string]any{"prefix": "/", "connect_matcher": object{}} {
			routes = append(routes, object{
				"match":                   object{kind: value, "headers": []object{{"name": "x-case", "string_match": object{"exact": fmt.Sprint(i)}}}},
				"direct_response":         object{"status": 200},
				"typed_per_filter_config": object{"rbac": rules},
			})
		}
	}
	chain := object{"filters": []object{typed("hcm", "filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix": "http", "generate_request_id": false, "upgrade_configs": []object{{"upgrade_type": "CONNECT"}},
		"http_filters": []object{
			typed("jwt", "filters.http.jwt_authn.v3.JwtAuthentication", jwtConfig()),
			typed("rbac", "filters.http.rbac.v3.RBAC", nil),
			typed("router", "filters.http.router.v3.Router", nil),
		},
		"route_config": object{"virtual_hosts": []object{{"name": "v", "domains": []string{"*"}, "routes": routes}}},
	})}}
	if tls != nil {
		chain["transport_socket"] = tls
	}
	return listener(name, chain)
}

// A tcpListener echoes, unless the expression holds for the connection.
func tcpListener(t *testing.T, name string, tls object, e *exprpb.Expr) object {
	chain := object{"filters": []object{
		typed("rbac", "filters.network.rbac.v3.RBAC", object{"stat_prefix": "rbac", "rules": denyIf(t, e)}),
		typed("echo", "filters.network.echo.v3.Echo", nil),
	}}
	if tls != nil {
		chain["transport_socket"] = tls
	}
	return listener(name, chain)
}

func listener(name string, chain object) object {
	return object{
		"name":             name,
		"address":          object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}},
		"listener_filters": []object{typed("tls", "filters.listener.tls_inspector.v3.TlsInspector", nil)},
		"filter_chains":    []object{chain},
	}
}

func bootstrap(t *testing.T, listeners ...object) []byte {
	t.Helper()
	text, err := json.Marshal(object{
		"admin":            object{"address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}}},
		"static_resources": object{"listeners": listeners},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// validates gives what Envoy says against a configuration, "" when nothing.
func validates(t *testing.T, config []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(envoyBinary(t), "--mode", "validate", "-c", file).CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

// startEnvoy gives the address of each listener by its name.
func startEnvoy(t *testing.T, listeners ...object) map[string]string {
	t.Helper()
	dir := t.TempDir()
	file, admin := filepath.Join(dir, "envoy.json"), filepath.Join(dir, "admin")
	if err := os.WriteFile(file, bootstrap(t, listeners...), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, envoyBinary(t), "-c", file, "--disable-hot-restart", "--admin-address-path", admin, "--concurrency", "1", "-l", "warning")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() { stop(); <-done })

	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if addresses := readyListeners(admin, len(listeners)); addresses != nil {
			return addresses
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("envoy ended: %v\n%s", err, log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("envoy has no listeners after 30 s")
		}
	}
}

// readyListeners is nil until the proxy serves all of them.
func readyListeners(adminFile string, want int) map[string]string {
	address, err := os.ReadFile(adminFile)
	if err != nil || len(address) == 0 {
		return nil
	}
	base := "http://" + strings.TrimSpace(string(address))
	if res, err := http.Get(base + "/ready"); err != nil || res.Body.Close() != nil || res.StatusCode != http.StatusOK {
		return nil
	}
	res, err := http.Get(base + "/listeners?format=json")
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var list struct {
		ListenerStatuses []struct {
			Name         string `json:"name"`
			LocalAddress struct {
				SocketAddress struct {
					Address   string `json:"address"`
					PortValue int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if json.NewDecoder(res.Body).Decode(&list) != nil || len(list.ListenerStatuses) < want {
		return nil
	}
	out := map[string]string{}
	for _, l := range list.ListenerStatuses {
		a := l.LocalAddress.SocketAddress
		out[l.Name] = net.JoinHostPort(a.Address, fmt.Sprint(a.PortValue))
	}
	return out
}
