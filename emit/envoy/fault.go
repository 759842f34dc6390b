package envoy

import (
	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	httpstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	inputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
)

// faultHTTP: fault(delay, abort, share). Envoy draws for the delay and for the
// abort separately; a request that has both is drawn once, so one draw is made
// before the filter.
func faultHTTP(h *httpChain, c *call) {
	delay, abort, share := c.Args["delay"].Dur, c.num("abort"), c.Args["share"].Float
	if delay == 0 && abort == 0 {
		return
	}
	once := delay > 0 && abort > 0 && share < 1
	of := fraction(share)
	if once {
		of = fraction(1)
	}
	filter := &faultv3.HTTPFault{}
	if delay > 0 {
		filter.Delay = &commonfaultv3.FaultDelay{
			FaultDelaySecifier: &commonfaultv3.FaultDelay_FixedDelay{FixedDelay: seconds(delay)}, Percentage: of,
		}
	}
	if abort > 0 {
		filter.Abort = &faultv3.FaultAbort{
			ErrorType: &faultv3.FaultAbort_HttpStatus{HttpStatus: uint32(abort)}, Percentage: of,
		}
	}
	if !once && share == 1 && !c.byWhen() { // all of it or, by the filter's own runtime, nothing
		c.switched = true
		if delay > 0 {
			filter.DelayPercentRuntime = c.switchKey()
		}
		if abort > 0 {
			filter.AbortPercentRuntime = c.switchKey()
		}
		h.addOwn(c, c.name, filter)
		return
	}
	if !once {
		h.add(c, filter)
		return
	}
	key := "admc." + c.name
	h.filters = append(h.filters, httpFilter(c.name+"/draw", &httpstatev3.Config{
		OnRequestHeaders: []*statev3.FilterStateValue{stateValue(key, "%UNIQUE_ID%")},
	}))
	h.addIf(c, c.name, filter, single(&inputv3.FilterStateInput{Key: key}, draw(c.name, share)))
}

func delays(c *call) bool { return c.Args["delay"].Dur > 0 }
