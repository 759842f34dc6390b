package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/solver"
)

// limits of one placement, and what is done when they are reached. The clock is
// looked at here and nowhere below.
type limits struct {
	timeout  time.Duration // 0: none
	allowGap bool
	progress io.Writer // for a line each second when a solve takes long; nil: silent
}

func (l *limits) registerGap(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&l.allowGap, "allow-gap", false, "when --timeout or Ctrl-C ends the search, go on with the best placement found, and warn")
}

// place is solver.Place within the limits. A placement with a gap is given with
// allowGap only.
func (l *limits) place(ctx context.Context, prog *ir.Program, g *graph.Graph, o solver.Options, bag *diag.Bag) (*solver.Placement, error) {
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	if l.progress != nil {
		t := startTicker(l.progress)
		defer t.stop()
		o.Progress = t.tell
	}
	pl, err := solver.Place(ctx, prog, g, o, bag)
	if stopped := (*solver.Stopped)(nil); errors.As(err, &stopped) && l.allowGap && stopped.Best != nil {
		return stopped.Best, nil
	}
	return pl, err
}

// gapWarning is what a placement with a gap is printed with, "" without one.
func gapWarning(p *solver.Placement) string {
	switch {
	case !p.Proved:
		return fmt.Sprintf("warning: the search was ended: adms: %d, objective: %d, bound: %d; it is not proved that fewer don't do", len(p.ADMs), p.Objective, p.Bound)
	case len(p.Added)+len(p.Removed) > 0 && !p.ProvedChange:
		return fmt.Sprintf("warning: the search was ended: %d ADMs are the fewest, but there may be a placement with fewer changes", len(p.ADMs))
	}
	return ""
}

// reportGap warns of a gap; with strict that is an error.
func reportGap(io streams, p *solver.Placement, strict bool) error {
	text := gapWarning(p)
	if text == "" {
		return nil
	}
	fmt.Fprintln(io.err, text)
	if strict {
		return errInput
	}
	return nil
}

// A ticker prints how far a solve is, each second from the first.
type ticker struct {
	w     io.Writer
	mu    sync.Mutex
	state solver.Progress
	end   chan struct{}
	done  sync.WaitGroup
}

func startTicker(w io.Writer) *ticker {
	t := &ticker{w: w, end: make(chan struct{})}
	start := time.Now()
	t.done.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-t.end:
				return
			case <-tick.C:
				t.mu.Lock()
				fmt.Fprintln(t.w, progressLine(t.state, time.Since(start)))
				t.mu.Unlock()
			}
		}
	})
	return t
}

func (t *ticker) tell(p solver.Progress) {
	t.mu.Lock()
	t.state = p
	t.mu.Unlock()
}

func (t *ticker) stop() {
	close(t.end)
	t.done.Wait()
}

func progressLine(p solver.Progress, since time.Duration) string {
	switch at := since.Round(time.Second); {
	case p.Parts == 0:
		return fmt.Sprintf("placing: reducing, %s", at)
	case p.LeastChange:
		return fmt.Sprintf("placing: the fewest are known; looking for the fewest changes, part %d of %d, the largest has %d services, %s", p.Done+1, p.Parts, p.Largest, at)
	default:
		return fmt.Sprintf("placing: part %d of %d, the largest has %d services; at least %d, %s", p.Done+1, p.Parts, p.Largest, p.AtLeast, at)
	}
}
