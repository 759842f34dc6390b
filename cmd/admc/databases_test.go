//go:build linux

package main

import (
	"bufio"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"admc.dev/admc/cmd/admc/testbed"
)

// Three callers of one database: one that may do what it does, one with two
// connections in an hour, and one that may not.
const databaseGraph = `
apiVersion: admc.dev/v1alpha1
kind: ServiceGraph
metadata: {name: protocols, namespace: default}
identity: addresses
services:
  app:     {addresses: [10.77.1.2/32]}
  batch:   {addresses: [10.77.1.3/32]}
  mallory: {addresses: [10.77.1.4/32]}
  db:      {ports: [{port: 5000, protocol: %s}]}
calls:
  - {from: app, to: [db]}
  - {from: batch, to: [db]}
  - {from: mallory, to: [db]}
`

const databasePolicies = `
	@%[1]s policy ample { on app -> db  rate_limit(rate: 1000/s) }
	@%[1]s policy few   { on batch -> db  rate_limit(rate: 1/h, burst: 2) }
	@%[1]s policy none  { on mallory -> db  deny() }`

// A database is a real server in the pod db, and what its callers get.
type database struct {
	*testing.T
	app, batch, mallory, db *testbed.Pod
	policed                 bool
	through                 func() uint64 // connections that went through ADMs
}

// TestDatabases: servers of protocols that the proxy knows nothing of, some of
// which speak first, behind policies on their connections: at the callers, at
// the server, and without any.
func TestDatabases(t *testing.T) {
	for _, tc := range []struct {
		protocol string
		start    func(*testbed.Pod)
		check    func(*database)
	}{
		{"postgres", func(p *testbed.Pod) {
			p.PostgreSQL(5000, "host all all 127.0.0.1/32 trust", "host all all all scram-sha-256")
		}, (*database).postgres},
		{"mysql", func(p *testbed.Pod) { p.MariaDB(5000) }, (*database).mysql},
		{"redis", func(p *testbed.Pod) { p.Redis(5000) }, (*database).redis},
	} {
		for _, side := range []string{"egress", "ingress", "no policy"} {
			t.Run(tc.protocol+"/"+side, func(t *testing.T) {
				t.Parallel()
				tc.check(newDatabase(t, tc.protocol, side, tc.start))
			})
		}
	}
}

func newDatabase(t *testing.T, protocol, side string, start func(*testbed.Pod)) *database {
	bed := testbed.New(t)
	d := &database{T: t, policed: side != "no policy", through: func() uint64 { return 0 }}
	d.app, d.batch, d.mallory, d.db = bed.Pod("app", "default"), bed.Pod("batch", "default"), bed.Pod("mallory", "default"), bed.Pod("db", "default")
	start(d.db)
	if !d.policed {
		return d
	}
	out := compileForTest(t, fmt.Sprintf(databaseGraph, protocol), fmt.Sprintf(databasePolicies, side))
	var adms []*testbed.ADM
	for _, p := range map[string][]*testbed.Pod{"egress": {d.app, d.batch, d.mallory}, "ingress": {d.db}}[side] {
		adms = append(adms, p.ADM(out))
	}
	if n := len(glob(t, out, "adm", "*", "envoy.yaml")); n != len(adms) {
		t.Fatalf("%d ADMs, want %d", n, len(adms))
	}
	d.through = func() (n uint64) {
		for _, a := range adms {
			c, err := a.Counters()
			if err != nil {
				t.Fatal(err)
			}
			n += c.Accepted + c.Inbound
		}
		return n
	}
	return d
}

// want compares, for what a policy decides, with one of two values.
func (d *database) want(what, got, policed, control string) {
	d.Helper()
	want := control
	if d.policed {
		want = policed
	}
	if got != want {
		d.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (d *database) same(what, got, want string) { d.Helper(); d.want(what, got, want, want) }

// passed checks how many connections went through the ADMs, so that nothing
// passed beside them.
func (d *database) passed(atLeast uint64) {
	d.Helper()
	if n := d.through(); d.policed && n < atLeast || !d.policed && n != 0 {
		d.Errorf("%d connections went through ADMs", n)
	}
}

// psql runs statements, or psql's own commands, on a connection each.
func psql(p *testbed.Pod, where string, commands ...string) (string, error) {
	return p.Run(psqlArgs(where, commands...)...)
}

func psqlArgs(where string, commands ...string) []string {
	args := []string{"psql", "-X", "-q", "-A", "-t", "-w", "-d",
		"user=postgres port=5000 sslmode=disable gssencmode=disable connect_timeout=30 " + where}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return args
}

const withPassword = "host=db password=postgres"

// counts numbers the attempts that succeeded, such as "yes yes no".
func counts(n int, attempt func() bool) string {
	var out []string
	for range n {
		if attempt() {
			out = append(out, "yes")
		} else {
			out = append(out, "no")
		}
	}
	return strings.Join(out, " ")
}

func (d *database) postgres() {
	query := func(p *testbed.Pod) bool {
		said, err := psql(p, withPassword, "select 6*7")
		if err == nil && said != "42" {
			d.Errorf("select 6*7 is %q", said)
		}
		return err == nil
	}
	d.same("app", counts(4, func() bool { return query(d.app) }), "yes yes yes yes")
	d.want("batch", counts(4, func() bool { return query(d.batch) }), "yes yes no no", "yes yes yes yes")
	d.want("mallory", counts(2, func() bool { return query(d.mallory) }), "no no", "yes yes")

	// a large COPY, both ways
	const rows = 400_000
	sum := md5.New()
	for i := range rows {
		fmt.Fprintln(sum, i+1)
	}
	said, err := psql(d.app, withPassword, "create table t (n int)", fmt.Sprintf(`\copy t from program 'seq 1 %d'`, rows),
		"select count(*), sum(n) from t", `\copy t to program 'md5sum'`)
	if err != nil {
		d.Errorf("COPY: %v: %s", err, said)
	}
	d.same("COPY", said, fmt.Sprintf("%d|%d\n%x  -", rows, rows*(rows+1)/2, sum.Sum(nil)))

	// A cancel request is a connection of its own, to the address of the first.
	asleep := d.app.Begin(psqlArgs(withPassword, "select pg_sleep(300)")...)
	d.await("the statement runs", func() bool {
		n, err := psql(d.app, withPassword, "select count(*) from pg_stat_activity where query = 'select pg_sleep(300)'")
		return err == nil && n == "1"
	})
	if err := asleep.Interrupt(); err != nil {
		d.Fatal(err)
	}
	if said, err := asleep.Wait(); err == nil || !strings.Contains(said, "canceling statement due to user request") {
		d.Errorf("cancelled: %v: %s", err, said)
	}

	// Who is trusted on loopback is so there, and nobody comes there through an ADM.
	if said, err := psql(d.db, "host=127.0.0.1", "select 1"); err != nil || said != "1" {
		d.Errorf("loopback in the pod: %v: %s", err, said)
	}
	if said, err := psql(d.app, "host=db", "select 1"); err == nil || !strings.Contains(said, "no password supplied") {
		d.Errorf("without a password: %v: %q", err, said)
	}
	d.passed(7)
}

// await waits until something is so that is to become so.
func (d *database) await(what string, so func() bool) {
	d.Helper()
	await(d.T, what, so)
}

func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// greeting is what a server says first: of the packet (MySQL's protocol: three
// bytes of length, one of sequence) the version of the server.
func (d *database) greeting(p *testbed.Pod) string {
	d.Helper()
	c, err := p.Dial("db:5000")
	if err != nil {
		d.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	head := make([]byte, 4)
	if n, err := io.ReadFull(c, head); err != nil {
		if n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			d.Errorf("%d bytes of a greeting: %v", n, err)
		}
		return "nothing"
	}
	packet := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(c, packet); err != nil {
		d.Errorf("half a greeting: %v", err)
	}
	if version, _, ok := strings.Cut(string(packet[1:]), "\x00"); ok && packet[0] == 10 && strings.Contains(version, "MariaDB") {
		return "MariaDB"
	}
	return fmt.Sprintf("%q", packet)
}

func (d *database) mysql() {
	query := func(p *testbed.Pod) bool {
		said, err := p.Run("mariadb", "--no-defaults", "-h", "db", "-P", "5000", "-u", "caller", "--skip-ssl", "-N", "-B", "-e", "select 6*7")
		if err == nil && said != "42" {
			d.Errorf("select 6*7 is %q", said)
		}
		return err == nil
	}
	d.same("app is greeted", d.greeting(d.app), "MariaDB")
	d.want("mallory is greeted", d.greeting(d.mallory), "nothing", "MariaDB")
	d.same("app", counts(3, func() bool { return query(d.app) }), "yes yes yes")
	d.want("mallory", counts(2, func() bool { return query(d.mallory) }), "no no", "yes yes")
	d.want("batch", counts(3, func() bool { return query(d.batch) }), "yes yes no", "yes yes yes")
	d.want("batch is greeted", d.greeting(d.batch), "nothing", "MariaDB")
	d.passed(11)
}

// A redisConn speaks Redis' protocol in its inline form.
type redisConn struct {
	*testbed.Conn
	in *bufio.Reader
}

func (d *database) redisConn(p *testbed.Pod) redisConn {
	d.Helper()
	c, err := p.Dial("db:5000")
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return redisConn{c, bufio.NewReader(c)}
}

func (c redisConn) say(commands ...string) {
	io.WriteString(c, strings.Join(commands, "\r\n")+"\r\n")
}

// reply reads n lines of a reply, joined by spaces.
func (c redisConn) reply(n int) string {
	var out []string
	for range n {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return strings.Join(append(out, "broken"), " ")
		}
		out = append(out, strings.TrimSpace(line))
	}
	return strings.Join(out, " ")
}

func (d *database) redis() {
	ping := func(p *testbed.Pod) bool {
		said, err := p.Run("redis-cli", "-h", "db", "-p", "5000", "ping")
		return err == nil && said == "PONG"
	}
	d.same("app", counts(3, func() bool { return ping(d.app) }), "yes yes yes")
	d.want("batch", counts(3, func() bool { return ping(d.batch) }), "yes yes no", "yes yes yes")
	d.want("mallory", counts(2, func() bool { return ping(d.mallory) }), "no no", "yes yes")

	// a pipeline: the commands leave before the first reply is there
	const n = 20_000
	one := d.redisConn(d.app)
	go func() {
		for range n {
			one.say("INCR pipelined")
		}
	}()
	for i := range n {
		if got := one.reply(1); got != fmt.Sprintf(":%d", i+1) {
			d.Fatalf("reply %d of the pipeline: %q", i+1, got)
		}
	}

	// the server speaks when it wants to
	heard := d.redisConn(d.app)
	heard.say("SUBSCRIBE news")
	d.same("SUBSCRIBE", heard.reply(6), "*3 $9 subscribe $4 news :1")
	one.say("PUBLISH news first", "PUBLISH news other")
	d.same("PUBLISH", one.reply(2), ":1 :1")
	d.same("heard", heard.reply(7), "*3 $7 message $4 news $5 first")
	d.same("heard", heard.reply(7), "*3 $7 message $4 news $5 other")

	// a command that waits
	waits := d.redisConn(d.app)
	waits.say("BLPOP queue 0")
	d.await("a client is blocked", func() bool {
		said, err := d.app.Run("redis-cli", "-h", "db", "-p", "5000", "info", "clients")
		return err == nil && strings.Contains(said, "blocked_clients:1")
	})
	one.say("RPUSH queue job")
	d.same("RPUSH", one.reply(1), ":1")
	d.same("BLPOP", waits.reply(5), "*2 $5 queue $3 job")
	d.passed(12)
}
