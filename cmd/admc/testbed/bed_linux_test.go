package testbed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"admc.dev/admc/bpf"
	"admc.dev/admc/bpfgen"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// output is a directory as the compiler writes it, for the service shop.
func output(t *testing.T) string {
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS("testdata/out")); err != nil {
		t.Fatal(err)
	}
	c := bpfgen.Config{
		Schema: bpfgen.Schema, Service: "shop", Namespace: "default", Objects: bpf.Checksums(),
		Ingress: []bpfgen.Ingress{{Port: 8080, Listener: 15100, Fail: bpfgen.FailClosed}},
		Egress: []bpfgen.Egress{
			{Receiver: "geo", Kind: bpfgen.KindService, Port: 8080, Listener: 15101, Fail: bpfgen.FailClosed},
			{Receiver: "redis", Kind: bpfgen.KindService, Port: 6379, Listener: 15102, Fail: bpfgen.FailOpen},
		},
	}
	if err := os.Mkdir(filepath.Join(out, "bpf"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "bpf", "shop.json"), c.JSON(), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBed(t *testing.T) {
	b := New(t)
	shop, geo, redis, front := b.Pod("shop", "default"), b.Pod("geo", "default"), b.Pod("redis", "cache"), b.Pod("front", "default")
	shop.HTTP(8080)
	geo.HTTP(8080)
	redis.TCP(6379)
	fromFront, fromShop := front.Client(), shop.Client()

	type want struct {
		status int
		header string // x-adm as the server sees it
	}
	ask := func(when string, c *Client, url string, w want) {
		t.Helper()
		r := c.Get(url, "x-mine", "1")
		if r.Status != w.status || r.Err != "" {
			t.Errorf("%s, %s: %+v, want status %d", when, url, r, w.status)
			return
		}
		if w.status != 200 {
			return
		}
		if e := c.Echo(r); e.Header.Get("x-adm") != w.header || e.Header.Get("x-mine") != "1" || !strings.HasPrefix(url, "http://"+e.Host+"/") {
			t.Errorf("%s, %s: the server saw %+v", when, url, e)
		}
	}
	for _, path := range []string{"/", "/admin"} {
		ask("no ADM", fromFront, "http://shop:8080"+path, want{200, ""})
		ask("no ADM", fromShop, "http://geo.default.svc.cluster.local:8080"+path, want{200, ""})
	}

	adm := shop.ADM(output(t))
	ask("ADM", fromFront, "http://shop:8080/", want{200, "ingress"})
	ask("ADM", fromFront, "http://shop:8080/admin", want{403, ""})
	ask("ADM", fromShop, "http://geo:8080/", want{200, "egress"})
	ask("ADM", fromShop, "http://geo:8080/admin", want{403, ""})
	ask("the other caller", fromFront, "http://geo:8080/admin", want{200, ""})
	if r := fromShop.TCP("redis.cache:6379", "hello"); r.Body != "redis\nhello\n" || r.Peer != redis.Address.String()+":6379" {
		t.Errorf("TCP: %+v", r)
	}
	if r := fromShop.Get("http://shop:8080/admin"); r.Status != 200 { // the pod's call to itself
		t.Errorf("to itself: %+v", r)
	}
	if n, err := adm.Counters(); err != nil || n.Steered != 3 || n.Accepted != 3 || n.Inbound != 2 {
		t.Errorf("%+v, %v", n, err)
	}

	adm.Kill()
	for _, r := range []Response{fromFront.Get("http://shop:8080/"), fromShop.Get("http://geo:8080/")} {
		if !strings.Contains(r.Err, "connection refused") {
			t.Errorf("fail closed, dead ADM: %+v", r)
		}
	}
	if r := fromShop.TCP("redis.cache:6379", "hello"); r.Body != "redis\nhello\n" {
		t.Errorf("fail open, dead ADM: %+v", r)
	}
	adm.Start()
	ask("restarted", fromFront, "http://shop:8080/", want{200, "ingress"})
	ask("restarted", fromShop, "http://geo:8080/admin", want{403, ""})
}

// What a killed run left behind is removed by the next bed.
func TestSweep(t *testing.T) {
	b := New(t)
	root := filepath.Dir(b.cgroup)
	name := prefix + "4194305-1" // beyond the highest process number
	b.ip("netns", "add", name)
	for _, d := range []string{"", "pod1", "pod1/app"} {
		if err := os.Mkdir(filepath.Join(root, name, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sweep(root)
	for _, path := range []string{filepath.Join(root, name), "/run/netns/" + name} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", path, err)
		}
	}
	if _, err := os.Stat(b.cgroup); err != nil {
		t.Errorf("a living bed was swept: %v", err)
	}
}
