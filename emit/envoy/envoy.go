// Package envoy emits Envoy's static configuration for each ADM, in two files
// that a stock Envoy 1.40 runs unmodified, one as its --config-path and the other
// as its --config-yaml, which it merges.
//
// In: a layout, whose ADMs have listeners with the rules that are enforced
// there. Out: adm/<service>/envoy.yaml, for each listener the filters, routes and
// clusters that enforce its rules, in the order of the actions' ranks, and nothing
// that would change a request which no rule speaks of; and
// adm/<service>/bootstrap.yaml, what any ADM has: the socket of the admin interface,
// limits, the startup probe's listener, clusters that lead to the dialled address.
//
// What Envoy does to every request, whatever its configuration: hop-by-hop
// headers are its own, the names of HTTP/1 trailers come out in lower case, a
// missing `date` is added to answers and `content-length: 0` to bodiless requests
// of unusual methods, several lines of `x-forwarded-proto` become one and an empty
// one none, `OPTIONS *` and a target of a host and a query without a path are
// answered 404, and a client that half-closes an HTTP/1 connection is taken for gone.
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
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"admc.dev/admc/emit"
	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/diag"
)

// The names of the two files in an ADM's directory.
const (
	FileName      = "envoy.yaml"
	BootstrapName = "bootstrap.yaml"
)

// A Backend emits Envoy's configuration. The zero Backend is ready to use.
type Backend struct{}

// Name of the data plane, as placement.json calls it.
func (Backend) Name() string { return "envoy" }

// Emit adds the files of every ADM. One with an error in the bag gets none.
func (Backend) Emit(l *layout.Layout, out *emit.Files, bag *diag.Bag) {
	written, broken := make([]map[string][]byte, len(l.ADMs)), make([]any, len(l.ADMs))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, a := range l.ADMs {
		before, _ := bag.Count()
		adm := newADM(a, bag)
		policies := adm.policies()
		if now, _ := bag.Count(); now > before {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil { // the caller's to meet, and to tell the user
					broken[i] = fmt.Sprintf("%v\n\n%s", r, debug.Stack())
				}
				<-slots
			}()
			written[i] = adm.write(l.Header, policies)
		})
	}
	wg.Wait()
	for i, a := range l.ADMs {
		if broken[i] != nil {
			panic(broken[i])
		}
		for name, text := range written[i] {
			out.Add(a.Dir+"/"+name, text)
		}
	}
}

// write gives the texts of an ADM's files by their names.
func (a *adm) write(header string, policies *bootstrapv3.Bootstrap) map[string][]byte {
	files := map[string][]byte{}
	for name, f := range a.secrets.files() {
		files[name] = render(header, f)
	}
	texts := [][]byte{render(header, policies), render(header, a.surroundings())}
	if errs := Check(a.Dir, texts, slices.Collect(maps.Keys(files))...); len(errs) > 0 {
		panic(fmt.Sprintf("envoy: emitted an invalid configuration: %v", errors.Join(errs...)))
	}
	files[FileName], files[BootstrapName] = texts[0], texts[1]
	return files
}
