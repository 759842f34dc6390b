package lang

import (
	"strings"
	"testing"
)

// TestRequireNamesTheNearest: the error of a rule says which policy comes
// nearest on the calls that lack it, and why it does not count.
func TestRequireNamesTheNearest(t *testing.T) {
	_, bag := checkText(shop(t), `
policy posts { on * -> geo  when { request.method == "POST" }  access_log() }
policy some { on frontend -> cart  sample 10%  access_log() }
policy of_checkout { on * -> {cart, payment}  when { source.service == "checkout" && destination.service == "payment" }  access_log() }
require audited { on * -> {geo, cart, search, payment}  has access_log }
require patient { on search -> geo  has timeout }
`)
	text := textOf(bag.All())
	for _, want := range []string{
		"of search -> geo:9000\n", `policy posts does access_log there only under the condition request.method == "POST"`,
		"of frontend -> cart:9000\n", "policy some does access_log there only for 10% of the requests",
		"of checkout -> cart:9000\n", "policy of_checkout has access_log, and does not do it there: its condition is false there",
		"of frontend -> search:9000\n", "policy of_checkout does access_log on other calls, and its `on` leaves these out",
		"does timeout on every request of search -> geo:9000\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "payment:8443") || t.Failed() {
		t.Errorf("got:\n%s", text)
	}
}
