package main

import (
	"fmt"

	"admc.dev/admc/lang/diag"
)

// report prints the diagnostics and gives errInput when they forbid to go on.
func report(io streams, bag *diag.Bag, strict bool) error {
	list := bag.All()
	if err := diag.WriteText(io.err, list); err != nil {
		return err
	}
	errors, warnings := bag.Count()
	if errors+warnings > 0 {
		fmt.Fprintln(io.err, count(errors, "error")+", "+count(warnings, "warning"))
	}
	if errors > 0 || strict && warnings > 0 {
		return errInput
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
