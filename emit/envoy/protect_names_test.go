//go:build linux

package envoy

import (
	"bytes"
	"strings"
	"testing"

	"admc.dev/admc/lang/ir"
)

// TestLongNames: Envoy takes the file whatever the names of the headers are that
// policies read and write, and what keeps others from being taken for them knows a
// header's name from that of a member in it.
func TestLongNames(t *testing.T) {
	for name, p := range map[string]policy{
		"long":  do("p", act("set_header", args{"name": str("x-" + strings.Repeat("canary-", 8) + "group"), "value": str("1")})),
		"short": do("p", act("set_header", args{"name": str("x-group"), "value": str("1")})),
		"of a member": do("p", &ir.Action{Decl: &ir.ActionDecl{Name: ir.StampAction, Phase: ir.Observe},
			Args:   args{"member": str("a-member-of-a-long-name-for-a-path"), "to": {Kind: ir.Map}},
			Writes: []string{`request.headers["baggage"]["a-member-of-a-long-name-for-a-path"]`}}),
	} {
		t.Run(name, func(t *testing.T) {
			prog := newProgram()
			prog.call(20000, "http", ir.Ingress, p)
			files := emitted(t, prog.layout())
			c := configurationOf(files, prog.server.Dir)
			validate(t, c)
			if bytes.Contains(c.policies, []byte("a_member")) {
				t.Errorf("the member is taken for a header:\n%s", c.policies)
			}
			if raised := bytes.Contains(c.policies, []byte("re2.max_program_size")); raised != (name == "long") {
				t.Errorf("the bound of regular expressions is raised: %v", raised)
			}
		})
	}
}
