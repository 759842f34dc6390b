//go:build linux

package envoy

import (
	"time"

	"admc.dev/admc/lang/ir"
)

// stamp keeps the member admc-path.p; the pairs are values and what becomes of
// them.
func stamp(pairs ...string) *ir.Action {
	to := ir.Value{Kind: ir.Map}
	for i := 0; i < len(pairs); i += 2 {
		to.Map = append(to.Map, ir.Entry{Key: pairs[i], Value: str(pairs[i+1])})
	}
	return act(ir.StampAction, args{"member": str("admc-path.p"), "to": to})
}

// said is the condition that the member has one of some values, as the checker
// lowers it.
func said(values string) policy {
	return policy{
		name:  "d",
		when:  method(header("baggage"), "matches", lit(`(^|,)[ \t]*admc-path\.p[ \t]*=[ \t]*(`+values+`)[ \t]*($|[,;])`)),
		reads: []string{`request.headers["baggage"]["admc-path.p"]`},
	}
}

func denies(p policy) policy {
	p.actions = []*ir.Action{act("deny", nil)}
	return p
}

// pathRows are what paths need that are decided by the request.
var pathRows = []row{
	{"stamp sets", "http", both, []policy{do("p", stamp("", "1"))},
		each(appSaw("Baggage"), appSaw("Baggage", "baggage", "a=b;x=y, c=d"), appSaw("Baggage", "baggage", "a=b", "baggage", "c=d"),
			appSaw("Baggage", "baggage", "a=b,admc-path.p=7;x,c=d", "baggage", "admc-path.p=8"), appSaw("Baggage", "baggage", " admc%2dpath%2Ep = 7 ,a=b"), appSaw("Baggage", "BAGGAGE", ",;garbage=,,")),
		"[admc-path.p=1] | [admc-path.p=1,a=b;x=y, c=d] | [admc-path.p=1,a=b c=d] | [admc-path.p=1,a=b,c=d] | [admc-path.p=1,a=b] | [admc-path.p=1,,;garbage=,,]",
		"[] | [a=b;x=y, c=d] | [a=b c=d] | [a=b,admc-path.p=7;x,c=d admc-path.p=8] | [admc%2dpath%2Ep = 7 ,a=b] | [,;garbage=,,]", served},
	{"stamp takes off", "http", both, []policy{do("p", stamp("", ""))},
		each(appSaw("Baggage"), appSaw("Baggage", "baggage", "a=b, c=d"), appSaw("Baggage", "baggage", "admc-path.p=1"), appSaw("Baggage", "baggage", "admc-path.q=1,admc-path.p=1,x-admc-path.p=1", "baggage", "admc-path.p", "baggage", "e")),
		"[] | [a=b, c=d] | [] | [admc-path.q=1,x-admc-path.p=1 e]",
		"[] | [a=b, c=d] | [admc-path.p=1] | [admc-path.q=1,admc-path.p=1,x-admc-path.p=1 admc-path.p e]", served},
	{"stamp changes", "http", both, []policy{do("p", stamp("", "", "1", "2", "3", ""))},
		each(appSaw("Baggage", "baggage", "a=b"), appSaw("Baggage", "baggage", "a=b,admc-path.p = 1 ;p=q"), appSaw("Baggage", "baggage", "a=b,admc-path.p=3"), appSaw("Baggage", "baggage", "admc-path.p=9")),
		"[a=b] | [admc-path.p=2,a=b] | [a=b] | []", "[a=b] | [a=b,admc-path.p = 1 ;p=q] | [a=b,admc-path.p=3] | [admc-path.p=9]", served},
	{"stamp", "grpc", both, []policy{do("p", stamp("", "1")), denies(said("1"))},
		each(rpc("x"), rpc("x", "baggage", "a=b")), "PermissionDenied | PermissionDenied", "OK | OK", served},
	{"a decision by the member", "http", both, []policy{denies(said("1|3"))},
		each(web("/"), web("/", "baggage", "admc-path.p=1"), web("/", "baggage", "admc-path.p=13"), web("/", "baggage", "a=b", "baggage", "c=d, admc-path.p = 3 ;x", "baggage", "e"), web("/", "baggage", "xadmc-path.p=1"), web("/", "baggage", "a=admc-path.p=1")),
		"200 app | 403 | 200 app | 403 | 200 app | 200 app", "200 app | 200 app | 200 app | 200 app | 200 app | 200 app", served},
	{"a decision before a stamp on one call", "http", both, []policy{denies(said("1")), do("p", stamp("", "1"))},
		each(appSaw("Baggage"), web("/", "baggage", "admc-path.p=1")), "[admc-path.p=1] | 403", "[] | 200 app", served},
	{"a wrapper by the member, and a stamp", "http", ir.Egress, []policy{
		{name: "d", when: said("2").when, reads: said("2").reads, actions: []*ir.Action{act("timeout", args{"after": dur(200 * time.Millisecond)})}},
		do("p", stamp("", "", "2", "1"))},
		each(web("/slow/800"), web("/slow/800", "baggage", "admc-path.p=2"), appSaw("Baggage", "baggage", "admc-path.p=2")),
		"200 app | 504 upstream request timeout | [admc-path.p=1]", "200 app | 200 app | [admc-path.p=2]", served},
}
