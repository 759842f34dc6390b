// Command admc compiles mesh policies and a service call graph into Kubernetes
// manifests, one Envoy configuration for each service that needs a proxy, and
// redirect objects.
//
// It is offline: it reads files and writes files. Its exit status is 0 when all
// is well, warnings included; 1 when the input has errors (with --strict,
// warnings), --check finds differences or a test fails; 2 when it was called wrongly or the
// world failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"admc.dev/admc/solver"
)

const (
	exitInput = 1 // the user's input has errors, or the output differs
	exitUsage = 2 // called wrongly, or the world failed
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process on the spot
	status := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(status)
}

// streams are what a command reads and writes besides files.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errInput ends a command whose input has errors that are printed already.
var errInput = errors.New("the input has errors")

// run is main without the process: it gives the exit status.
func run(ctx context.Context, args []string, io streams) (status int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(io.err, "admc: this is a mistake in admc, not in your input: %v\n\n%s", r, debug.Stack())
			status = exitUsage
		}
	}()
	root := newRoot(io)
	root.SetArgs(args)
	switch err := reportFormat("text").input(io, root.ExecuteContext(ctx)); {
	case err == nil:
		return 0
	case errors.Is(err, errInput):
		return exitInput
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		reason := "interrupted"
		if stopped := (*solver.Stopped)(nil); errors.As(err, &stopped) {
			reason = stopped.Error()
		}
		fmt.Fprintf(io.err, "admc: %s; nothing is written\n", reason)
		return exitInput
	default:
		fmt.Fprintf(io.err, "admc: %v\n", err)
		return exitUsage
	}
}
