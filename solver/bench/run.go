package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/solver"
	"admc.dev/admc/solver/bench/shapes"
)

// An answer is what a solver said of an instance.
type answer struct {
	Status      string  `json:"status"`
	Seconds     float64 `json:"seconds"` // of the machine, or of the processor where that is less
	Objective   int64   `json:"objective"`
	Bound       int64   `json:"bound"`
	Certificate string  `json:"certificate"` // ours only
	Megabytes   int64   `json:"megabytes"`   // the most that the process had

	Changes       int  `json:"changes"` // services that differ from the previous placement
	ChangesProved bool `json:"changesProved"`
}

const (
	best     = "best"      // found and said to be proved
	timedOut = "timed out" // maybe with an answer
	failed   = "failed"
	notRun   = "not run"
)

func (a *answer) found() bool { return (a.Status == best || a.Status == timedOut) && a.Objective > 0 }

func (a *answer) String() string {
	switch {
	case a.Status == best:
		return fmt.Sprintf("%d in %.3gs", a.Objective, a.Seconds)
	case a.found():
		return fmt.Sprintf("%s (%d..%d)", a.Status, a.Bound, a.Objective)
	}
	return a.Status
}

// A competitor solves instances in a process of its own.
type competitor struct {
	name   string
	ours   bool
	engine string
}

var solvers = []competitor{
	{name: "native", ours: true, engine: "native"},
	{name: "lpsolve", ours: true, engine: "lpsolve"},
	{name: "lp_solve raw", ours: true, engine: "raw"},
	{name: "cbc"}, {name: "HiGHS"}, {name: "CP-SAT"}, {name: "z3"},
}

//go:embed others.py
var others []byte

// run gives the instance to the solver; path is its file, for those that aren't
// ours.
func (c competitor) run(b *bench, in instance, path string) (*answer, error) {
	// The program that reads the file and builds the model has time for that.
	patience := b.limit + 5*time.Second
	var cmd *exec.Cmd
	if c.ours {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		patience += time.Duration(in.services) * 100 * time.Microsecond
		limit := b.limit
		if in.services >= 1_000_000 {
			limit, patience = 6*limit, 12*limit+patience
		}
		cmd = exec.Command(self, "-solve", in.name, "-engine", c.engine, "-limit", limit.String())
	} else {
		script := filepath.Join(b.work, "others.py")
		if err := os.WriteFile(script, others, 0o644); err != nil {
			return nil, err
		}
		patience += time.Duration(in.services) * 100 * time.Microsecond
		cmd = exec.Command(b.python, script, c.name, path, fmt.Sprint(b.limit.Seconds()))
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	if !timer.Stop() {
		return &answer{Status: timedOut}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, errs.String())
	}
	a := &answer{}
	if err := json.Unmarshal(out.Bytes(), a); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out.String())
	}
	if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		a.Megabytes = use.Maxrss / 1024
	}
	return a, nil
}

// solveHere is what the process of one of ours does.
func solveHere(name, engine string, limit time.Duration) error {
	in, err := named(name)
	if err != nil {
		return err
	}
	s, err := in.make()
	if err != nil {
		return err
	}
	o := solver.Options{Engine: engine}
	if engine == "raw" {
		o = solver.Options{Engine: "lpsolve", Unreduced: true}
	}
	if in.changed {
		before, err := place(context.Background(), s.Without(30), o)
		if err != nil {
			return err
		}
		if o.Previous, err = solver.ReadPlacement(before.JSON(nil)); err != nil {
			return err
		}
	}
	a, err := timed(func(ctx context.Context) (*solver.Placement, error) { return place(ctx, s, o) }, limit)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

func place(ctx context.Context, s *shapes.Shape, o solver.Options) (*solver.Placement, error) {
	var bag diag.Bag
	pl, err := solver.Place(ctx, s.Program, s.Graph, o, &bag)
	if err == nil && pl == nil {
		return nil, fmt.Errorf("the instance is infeasible")
	}
	return pl, err
}

// timed places once, and where that is over quickly up to five times, of which
// the best counts: from the program in memory to the verified placement.
func timed(do func(context.Context) (*solver.Placement, error), limit time.Duration) (*answer, error) {
	a := &answer{}
	spent := 0.0
	for try := 0; try < 5 && spent < 0.5; try++ {
		runtime.GC()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		begin, used := time.Now(), processor()
		pl, err := do(ctx)
		took := min(time.Since(begin), processor()-used).Seconds()
		cancel()
		var stopped *solver.Stopped
		switch {
		case errors.As(err, &stopped):
			pl, a.Status = stopped.Best, timedOut
		case errors.Is(err, context.DeadlineExceeded):
			return &answer{Status: timedOut}, nil
		case err != nil:
			return nil, err
		default:
			a.Status = best
		}
		if try == 0 || took < a.Seconds {
			a.Seconds = took
		}
		spent += took
		a.Objective, a.Bound, a.Certificate = pl.Objective, pl.Bound, pl.Kind
		a.Changes, a.ChangesProved = len(pl.Added)+len(pl.Removed), pl.ProvedChange
		if a.Status != best {
			break
		}
	}
	return a, nil
}

// processor is the time that this process has had of all processors.
func processor() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
