package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"admc.dev/admc/cmd/admc/drain"
	"admc.dev/admc/emit/layout"
)

// newADM has what runs beside an ADM's proxy, in its container.
func newADM(io streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "adm",
		Short:   "Work on the ADM of this pod, from inside its container",
		Example: "  admc adm drain --timeout 20s",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDrain(io))
	return cmd
}

func newDrain(io streams) *cobra.Command {
	var timeout time.Duration
	o := drain.Options{}
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Tell callers that this pod goes, and wait until their requests are done",
		Long: `Is the preStop hook of an ADM's container. From then on every inbound HTTP
connection ends with its next answer (HTTP/1 "connection: close", HTTP/2 GOAWAY);
requests, WebSockets and gRPC streams that are open go on, and new connections
are taken: some callers have yet to hear that the pod goes. It returns when
nothing is open and nothing has come for --quiet, or at --timeout. Byte streams
(databases) are told nothing and waited for. HTTP connections without a request
are not waited for. The pod's own calls go on as before. With a --timeout that is
not longer than --quiet it always returns at --timeout.

Exit status: 0 when nothing is open; 1 when something is at --timeout.`,
		Example: "  admc adm drain --timeout 20s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 || o.Quiet < 0 {
				return fmt.Errorf("--timeout is longer than 0s and --quiet not shorter, but they are %v and %v", timeout, o.Quiet)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			err := drain.Until(ctx, o)
			if open := (drain.Open{}); errors.As(err, &open) {
				fmt.Fprintf(io.err, "admc: after %v: %v\n", timeout, open)
				return errInput
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 20*time.Second, "return then, whatever is open; less than the pod's terminationGracePeriodSeconds")
	cmd.Flags().DurationVar(&o.Quiet, "quiet", 5*time.Second, "how long nothing may have come before it returns")
	cmd.Flags().StringVar(&o.Socket, "socket", layout.AdminSocket, "the proxy's admin interface; @NAME is an abstract socket")
	return cmd
}
