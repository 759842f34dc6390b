package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/solver"
)

func newPlan(io streams) *cobra.Command {
	flags := inputFlags{limits: limits{progress: io.err}}
	var what planFlags
	cmd := &cobra.Command{
		Use:   "plan [FILES|DIR]...",
		Short: "Place the policies and compare with today's mesh; emit nothing",
		Long: `Finds the placement that compile would write, and prints it beside a full mesh
and the usual partial one, with the CPU, memory and latency that published
measurements let one expect. Nothing is written.

--what-if adm:SERVICE=never (or always, auto) places once more as if the graph
said so, with the fewest changes to the first placement; given several times,
all hold together. --format json prints the placement.json of the last one.`,
		Example: `  admc plan
  admc plan --what-if adm:geo=never
  admc plan --format json | jq .adms`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := flags.load(args)
			if err != nil {
				return err
			}
			if what.format != "text" && what.format != "json" {
				return fmt.Errorf("no format %q: choose text or json", what.format)
			}
			assumed, err := parseAssumptions(what.whatIf)
			if err != nil {
				return err
			}
			if what.timings {
				in.timings = &timings{last: time.Now()}
				defer func() { in.timings.write(io.err) }()
			}
			return plan(cmd.Context(), io, in, assumed, what.format == "json")
		},
	}
	flags.register(cmd)
	flags.registerGap(cmd)
	cmd.Flags().StringVar(&what.format, "format", "text", "text, or json for placement.json")
	cmd.Flags().BoolVar(&what.timings, "timings", false, "print the seconds that each phase took on standard error")
	cmd.Flags().StringArrayVar(&what.whatIf, "what-if", nil, "adm:SERVICE=never, =always or =auto; may be repeated")
	return cmd
}

// planFlags are the flags of plan alone.
type planFlags struct {
	format  string
	timings bool
	whatIf  []string
}

// plan places, then again with what is assumed.
func plan(ctx context.Context, io streams, in *inputs, assumed assumptions, asJSON bool) error {
	l, err := planOne(ctx, io, in)
	if err != nil {
		return err
	}
	if err := assumed.known(l.Graph); err != nil {
		return err
	}
	last := l
	if len(assumed) > 0 {
		other := *in
		other.whatIf = assumed
		if other.options.Previous, err = solver.ReadPlacement(l.Placement.JSON(nil)); err != nil {
			return err
		}
		if last, err = planOne(ctx, io, &other); err != nil {
			return err
		}
	}
	if asJSON {
		_, err := io.out.Write(last.Placement.JSON(in.digests()))
		return err
	}
	writePlan(io.out, l)
	if last != l {
		writeWhatIf(io.out, last, assumed)
	}
	writeSources(io.out, l.Graph)
	return nil
}

func planOne(ctx context.Context, io streams, in *inputs) (*layout.Layout, error) {
	bag := &diag.Bag{}
	l, err := place(ctx, in, bag)
	if err != nil {
		return nil, err
	}
	if err := report(io, bag, in.strict); err != nil {
		if len(in.whatIf) > 0 {
			fmt.Fprintf(io.err, "that is with %s\n", in.whatIf)
		}
		return nil, err
	}
	return l, reportGap(io, l.Placement, in.strict)
}

func writePlan(w io.Writer, l *layout.Layout) {
	fmt.Fprintf(w, "%s: %s, %s, %s\n", l.Graph.Name,
		count(len(l.Graph.Services), "service"), count(len(l.Graph.Calls), "call"), policies(len(l.Program.Policies)))
	writeDeployments(w, []deployment{fullMesh(l.Graph), partialMesh(l.Graph, l.Program), placed("ADMs", l)})
	if note := changeNote(l.Placement, "the previous placement"); note != "" {
		fmt.Fprintf(w, "  %s\n", note)
	}
	writeADMs(w, l)
}

func writeWhatIf(w io.Writer, l *layout.Layout, assumed assumptions) {
	fmt.Fprintf(w, "what if %s:\n", assumed)
	writeDeployments(w, []deployment{placed("ADMs", l)})
	note := changeNote(l.Placement, "the placement above")
	if note == "" {
		note = "against the placement above: nothing changes"
	}
	fmt.Fprintf(w, "  %s\n", note)
}

// timings measure phases that follow one another; nil measures nothing.
type timings struct {
	last   time.Time
	phases []timing
}

type timing struct {
	name string
	took time.Duration
}

// mark ends a phase.
func (t *timings) mark(name string) {
	if t == nil {
		return
	}
	now := time.Now()
	t.phases = append(t.phases, timing{name, now.Sub(t.last)})
	t.last = now
}

func (t *timings) write(w io.Writer) {
	sum := time.Duration(0)
	for _, p := range t.phases {
		fmt.Fprintf(w, "%9.3f s  %s\n", p.took.Seconds(), p.name)
		sum += p.took
	}
	fmt.Fprintf(w, "%9.3f s  in all\n", sum.Seconds())
}
