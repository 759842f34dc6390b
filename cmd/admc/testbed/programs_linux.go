package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Servers of Debian's packages, in a pod and in a directory of the test: never
// the machine's own.

// Run runs a program in the pod, as its application would, until it ends, and
// gives what it wrote. Its input is empty.
func (p *Pod) Run(argv ...string) (string, error) {
	p.bed.t.Helper()
	return p.Begin(argv...).Wait()
}

// A Program runs in a pod.
type Program struct {
	cmd  *exec.Cmd
	said bytes.Buffer
}

// Begin is Run that doesn't wait.
func (p *Pod) Begin(argv ...string) *Program {
	p.bed.t.Helper()
	return p.begin(p.appCgroup(), roleOf("", argv))
}

func (p *Pod) begin(cgroup string, role []string) *Program {
	p.bed.t.Helper()
	r := &Program{cmd: p.command(role...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	p.launch(cgroup, r.cmd)
	return r
}

// Wait gives what the program wrote, without the white space at both ends, and
// how it ended.
func (r *Program) Wait() (string, error) {
	err := r.cmd.Wait()
	return strings.TrimSpace(r.said.String()), err
}

// Interrupt is the user's Ctrl-C.
func (r *Program) Interrupt() error { return r.cmd.Process.Signal(os.Interrupt) }

// roleOf is the role of a program that is run as a user; "" is root.
func roleOf(as string, argv []string) []string {
	if as == "" {
		return append([]string{"exec"}, argv...)
	}
	return append([]string{"as", as}, argv...)
}

// must runs what is to succeed.
func (p *Pod) must(as string, argv ...string) {
	p.bed.t.Helper()
	if said, err := p.begin(p.appCgroup(), roleOf(as, argv)).Wait(); err != nil {
		p.bed.t.Fatalf("%s: %v\n%s", argv[0], err, said)
	}
}

// serveProgram starts a server and waits until it is ready.
func (p *Pod) serveProgram(as string, ready func() error, argv ...string) {
	t := p.bed.t
	t.Helper()
	log, err := os.CreateTemp(p.etc, filepath.Base(argv[0])+"*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.start(p.appCgroup(), log, roleOf(as, argv)...)
	t.Cleanup(p.endApplication) // and with it what the server started: it writes into its directory
	deadline := time.Now().Add(time.Minute)
	for err = ready(); err != nil && time.Now().Before(deadline); err = ready() {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("%s in %s: %v; it says:\n%s", argv[0], p.Service, err, said)
	}
}

// endApplication kills the application's processes, and waits for them to be gone.
func (p *Pod) endApplication() {
	os.WriteFile(filepath.Join(p.appCgroup(), "cgroup.kill"), []byte("1"), 0)
	for range 500 {
		events, err := os.ReadFile(filepath.Join(p.appCgroup(), "cgroup.events"))
		if err != nil || bytes.Contains(events, []byte("populated 0")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// listens tells whether a port of the pod is open, as one in the pod finds it.
func (p *Pod) listens(port int) error {
	return p.ns.do(func() error {
		c, err := net.Dial("tcp", net.JoinHostPort(p.Address.String(), strconv.Itoa(port)))
		if err == nil {
			c.Close()
		}
		return err
	})
}

// Redis starts a Redis on a port of the pod, with further settings as its
// command line takes them. Everybody may do everything.
func (p *Pod) Redis(port int, settings ...string) {
	p.bed.t.Helper()
	p.serveProgram("", func() error { return p.listens(port) }, append([]string{
		"redis-server", "--port", strconv.Itoa(port), "--dir", p.bed.t.TempDir(), "--save", "", "--protected-mode", "no",
	}, settings...)...)
}

// PostgreSQL starts a PostgreSQL on a port of the pod; lines are its
// pg_hba.conf. Its superuser postgres has the password of that name.
func (p *Pod) PostgreSQL(port int, lines ...string) {
	t := p.bed.t
	t.Helper()
	const account = "postgres" // it refuses to run as root
	bin := postgresBin(p)
	dir := p.ownedBy(account)
	data, password, socket := filepath.Join(dir, "data"), filepath.Join(dir, "password"), filepath.Join(dir, "run")
	if err := errors.Join(os.Mkdir(socket, 0o777), os.Chmod(socket, 0o777), os.WriteFile(password, []byte(account+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	p.must(account, filepath.Join(bin, "initdb"), "-D", data, "--no-sync", "--no-locale", "--auth", "trust", "--pwfile", password)
	hba := "local all all trust\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o644); err != nil {
		t.Fatal(err)
	}
	ready := func() error {
		said, err := p.Run(filepath.Join(bin, "pg_isready"), "-h", socket, "-p", strconv.Itoa(port))
		if err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
		return nil
	}
	p.serveProgram(account, ready, filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=*", "-c", "unix_socket_directories="+socket, "-c", "fsync=off", "-c", "dynamic_shared_memory_type=mmap")
}

// postgresBin is where Debian puts the programs of its newest PostgreSQL.
func postgresBin(p *Pod) string {
	p.bed.t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		p.bed.t.Fatalf("no PostgreSQL is here: .ci/install test installs Debian's (%v)", err)
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// MariaDB starts a MariaDB on a port of the pod. The account caller needs no
// password from anywhere.
func (p *Pod) MariaDB(port int) {
	t := p.bed.t
	t.Helper()
	dir := t.TempDir()
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	// A server that starts removes what others have in the directory of temporary tables.
	p.must("", "mariadb-install-db", "--no-defaults", "--tmpdir="+dir, "--datadir="+data, "--user=root", "--skip-test-db", "--auth-root-authentication-method=normal")
	first := filepath.Join(dir, "first.sql")
	if err := os.WriteFile(first, []byte("CREATE USER 'caller'@'%';\nGRANT SELECT ON mysql.* TO 'caller'@'%';\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.serveProgram("", func() error { return p.listens(port) }, "mariadbd", "--no-defaults", "--tmpdir="+dir, "--user=root", "--datadir="+data,
		"--socket="+socket, "--pid-file="+filepath.Join(dir, "pid"), "--bind-address=0.0.0.0", "--port="+strconv.Itoa(port),
		"--init-file="+first, "--skip-name-resolve", "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0")
}

// ownedBy is a directory of the test that an account can write.
func (p *Pod) ownedBy(account string) string {
	t := p.bed.t
	t.Helper()
	u, err := user.Lookup(account)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The test's own directory is root's alone.
	for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
	return dir
}
