package testbed

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A namespace is a named network namespace and a thread that stays in it. The
// thread outlives what it starts: a child asks to be killed when its parent
// thread dies.
type namespace struct {
	path string // /run/netns/NAME
	jobs chan func()
}

func (b *Bed) namespace(name string) namespace {
	b.t.Helper()
	b.ip("netns", "add", name)
	b.t.Cleanup(func() { b.ip("netns", "del", name) })
	b.ip("-n", name, "link", "set", "lo", "up")
	ns := namespace{path: "/run/netns/" + name, jobs: make(chan func())}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		entered <- enter(ns.path)
		for job := range ns.jobs {
			job()
		}
	}()
	b.t.Cleanup(func() { close(ns.jobs) })
	if err := <-entered; err != nil {
		b.t.Fatal(err)
	}
	return ns
}

func enter(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", path, err)
	}
	return nil
}

// do runs f in the namespace. Sockets that f makes stay in it.
func (ns namespace) do(f func() error) error {
	done := make(chan error)
	ns.jobs <- func() { done <- f() }
	return <-done
}
