package solver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"admc.dev/admc/lang/ir"
)

// An Input of a compilation: a file that was read, and what was in it.
type Input struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// placementFile is placement.json. Its keys and their order are a contract that
// other tools read.
type placementFile struct {
	APIVersion  string           `json:"apiVersion"`
	Kind        string           `json:"kind"`
	ADMs        []admFile        `json:"adms"`
	Objective   int64            `json:"objective"`
	Bound       int64            `json:"bound"`
	Proved      bool             `json:"proved"`
	Obligations []obligationFile `json:"obligations"`
	Certificate Certificate      `json:"certificate"`
	Inputs      []Input          `json:"inputs"`
	Minimise    string           `json:"minimise"` // what an ADM weighs: adms (1), proxies, cost
	Scale       int              `json:"scale"`    // objective and bound are in units of 10^-scale
}

const (
	apiVersion = "admc.dev/v1alpha1"
	kind       = "Placement"
)

type admFile struct {
	Service string `json:"service"`
	Plane   string `json:"plane"`
	// Obligations enforced here: the ID, a colon and the side.
	Obligations []string `json:"obligations"`
}

type obligationFile struct {
	Policy   string   `json:"policy"`
	Part     string   `json:"part,omitempty"` // as ir.Obligation.Part
	Receiver string   `json:"receiver"`
	Port     int      `json:"port"`
	Senders  []string `json:"senders"`
	Side     string   `json:"side"` // ingress, egress or both
	Reason   string   `json:"reason"`
}

// plane is what runs an ADM.
const plane = "envoy"

// JSON is placement.json: indented by two spaces, ended by a line feed, the
// same bytes for the same placement and inputs, whatever the order they are
// given in.
func (p *Placement) JSON(inputs []Input) []byte {
	f := placementFile{
		APIVersion: apiVersion, Kind: kind, Minimise: cmp.Or(p.Minimise, MinimiseADMs), Scale: p.Scale,
		ADMs: []admFile{}, Objective: p.Objective, Bound: p.Bound, Proved: p.Proved,
		Obligations: []obligationFile{}, Certificate: p.Certificate,
		Inputs: append([]Input{}, inputs...),
	}
	if f.Certificate.Parts == nil {
		f.Certificate.Parts = []CertificatePart{}
	}
	here := map[string][]string{}
	assigned := slices.Clone(p.Assigned)
	slices.SortStableFunc(assigned, func(a, b Assigned) int { return compareIDs(a.Obligation, b.Obligation) })
	for _, a := range assigned {
		f.Obligations = append(f.Obligations, a.file(here))
	}
	for _, s := range p.ADMs {
		slices.Sort(here[s])
		f.ADMs = append(f.ADMs, admFile{s, plane, append([]string{}, here[s]...)})
	}
	slices.SortFunc(f.Inputs, func(a, b Input) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.SHA256, b.SHA256))
	})
	var out bytes.Buffer
	w := json.NewEncoder(&out)
	w.SetEscapeHTML(false) // reasons speak of a -> b
	w.SetIndent("", "  ")
	if err := w.Encode(f); err != nil {
		panic(err) // strings and numbers only
	}
	return out.Bytes()
}

func compareIDs(a, b *ir.Obligation) int {
	return cmp.Or(strings.Compare(a.Policy.Name, b.Policy.Name), strings.Compare(a.Receiver.NodeName(), b.Receiver.NodeName()),
		cmp.Compare(a.Port, b.Port), cmp.Compare(bit(a.Both), bit(b.Both)), strings.Compare(a.Part, b.Part))
}

// file is an obligation's entry; here collects what each ADM enforces.
func (a *Assigned) file(here map[string][]string) obligationFile {
	o := a.Obligation
	f := obligationFile{Policy: o.Policy.Name, Part: o.Part, Receiver: o.Receiver.NodeName(), Port: o.Port, Senders: senderNames(o), Side: a.Side.String(), Reason: a.Reason}
	id := o.ID()
	if a.Side&ir.Ingress != 0 {
		here[f.Receiver] = append(here[f.Receiver], id+":ingress")
	}
	if a.Side&ir.Egress != 0 {
		for _, s := range f.Senders {
			here[s] = append(here[s], id+":egress")
		}
	}
	return f
}

// senderNames lists who sends over an obligation's edges, sorted, each once.
func senderNames(o *ir.Obligation) []string {
	names := []string{}
	for _, e := range o.Edges {
		names = append(names, e.Sender.NodeName())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
