package lang

import (
	"maps"
	"slices"
	"testing"
)

// TestLookalikesAreTakenOff: what proxies take off lest it passes for a policy's
// header does not arrive; what is like no policy's does.
func TestLookalikesAreTakenOff(t *testing.T) {
	prog, bag := checkText(shop(t), `policy p { on internet -> frontend  when { request.headers["x-user-id"] == "ann" }  set_header("x-mark", "1") }`)
	if bag.HasErrors() {
		t.Fatal(textOf(bag.All()))
	}
	var arrived []string
	NewInterp(prog).Run(&Request{
		Call: prog.Obligations[0].Edges[0].Call, Method: "GET", Path: "/",
		Headers: Headers{
			"x-user-id": {"ann"}, "x_user-id": {"bob"}, "x-user_id": {"bob"}, "x_user_id": {"bob"}, "x_mark": {"2"},
			"x_other": {"3"}, "x_user_ids": {"4"}, "x.user-id": {"5"},
		},
		Receiver: func(a Arrival) Answer {
			arrived = slices.Sorted(maps.Keys(a.Headers))
			return Answer{Status: 200}
		},
	})
	if want := []string{"x-mark", "x-user-id", "x.user-id", "x_other", "x_user_ids"}; !slices.Equal(arrived, want) {
		t.Errorf("arrived: %q, want %q", arrived, want)
	}
}
