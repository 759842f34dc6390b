package bpfgen

import (
	"fmt"

	"admc.dev/admc/bpf"
	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
)

// Backend emits the redirect objects and their configuration. Where no service
// has an ADM it emits nothing.
type Backend struct{}

// Name of the backend.
func (Backend) Name() string { return "bpf" }

// Emit writes bpf/*.o, bpf/SHA256SUMS and bpf/<service>.json for each ADM.
func (Backend) Emit(l *layout.Layout, out *emit.Files, _ *diag.Bag) {
	if len(l.ADMs) == 0 {
		return
	}
	for _, name := range bpf.Names() {
		out.Add("bpf/"+name, bpf.Object(name))
	}
	out.Add("bpf/SHA256SUMS", bpf.SHA256SUMS)
	for _, adm := range l.ADMs {
		out.Add(ConfigPath(adm.Service), NewConfig(adm, l.Header).JSON())
	}
}

// ConfigPath is where the configuration for a service's pods is emitted.
func ConfigPath(s *graph.Service) string {
	return "bpf/" + layout.FileName(s.Name) + ".json"
}

// NewConfig makes the configuration for the pods of one ADM's service. Rows are
// in the layout's order: ingress by port, egress by receiver and port.
// Acceleration is off: it changes what splice(2) and one-way bulk streams see,
// so it is for the operator to turn on, leg by leg.
func NewConfig(adm *layout.ADM, header string) *Config {
	c := &Config{
		Generated: header,
		Schema:    Schema,
		Service:   adm.Service.Name,
		Namespace: adm.Service.Namespace,
		Objects:   bpf.Checksums(),
		Ingress:   []Ingress{}, // [] in the file, not null
		Egress:    []Egress{},
	}
	for _, l := range adm.Listeners {
		fail := FailOpen
		if l.FailClosed {
			fail = FailClosed
		}
		switch l.Side {
		case ir.Ingress:
			c.Ingress = append(c.Ingress, Ingress{Port: l.ReceiverPort, Listener: l.Port, Fail: fail})
		case ir.Egress:
			row := Egress{Receiver: l.Receiver.NodeName(), Port: l.ReceiverPort, Listener: l.Port, Fail: fail}
			switch r := l.Receiver.(type) {
			case *graph.Service:
				row.Kind, row.Namespace = KindService, r.Namespace
			case *graph.External:
				row.Kind, row.Host = KindExternal, r.Host
			}
			c.Egress = append(c.Egress, row)
		default:
			panic(fmt.Sprintf("bpfgen: listener %s has the side %v", l.Name, l.Side))
		}
	}
	return c
}
