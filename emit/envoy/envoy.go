// Package envoy emits one Envoy static bootstrap for each ADM.
//
// In: a layout, whose ADMs have listeners with the rules that are enforced
// there. Out: adm/<service>/envoy.yaml, a file that a stock Envoy 1.40 runs
// unmodified: for each listener the filters, routes and clusters that enforce
// its rules, in the order of the actions' ranks, and nothing that would change
// a request which no rule speaks of.
//
// What Envoy does to every request, whatever its configuration: hop-by-hop
// headers are its own, the names of HTTP/1 trailers come out in lower case, a
// missing `date` is added to answers and `content-length: 0` to bodiless requests
// of unusual methods, several lines of `x-forwarded-proto` become one and an empty
// one none, `OPTIONS *` is answered 404, and a client that half-closes an HTTP/1
// connection is taken for gone.
//
// Refused, as errors in the bag: an action that Envoy can't do on the
// listener's protocol, a condition outside of what Envoy's CEL runs, and
// combinations for which no exact configuration is known. Every file is held
// to Check before it is added; a file that fails is our mistake and panics.
package envoy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/diag"
)

// FileName is the name of the bootstrap in an ADM's directory.
const FileName = "envoy.yaml"

// A Backend emits Envoy bootstraps. The zero Backend is ready to use.
type Backend struct{}

// Name of the data plane, as placement.json calls it.
func (Backend) Name() string { return "envoy" }

// Emit adds the bootstrap of every ADM. An ADM with an error in the bag gets
// no file.
func (Backend) Emit(l *layout.Layout, out *emit.Files, bag *diag.Bag) {
	for _, a := range l.ADMs {
		before, _ := bag.Count()
		adm := newADM(a, bag)
		boot := adm.bootstrap()
		if now, _ := bag.Count(); now > before {
			continue
		}
		data := render(l.Header, boot)
		path := a.Dir + "/" + FileName
		secrets := adm.secrets.files()
		if errs := Check(path, data, slices.Collect(maps.Keys(secrets))...); len(errs) > 0 {
			panic(fmt.Sprintf("envoy: emitted an invalid file: %v", errors.Join(errs...)))
		}
		out.Add(path, data)
		for name, f := range secrets {
			out.Add(a.Dir+"/"+name, render(l.Header, f))
		}
	}
}
