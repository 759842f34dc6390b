package bpfgen

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Counters of one pod since its programs were attached.
type Counters struct {
	Steered         uint64 // connects sent to the ADM
	EgressBypassed  uint64 // connects let through because the ADM was dead (fail open)
	EgressRefused   uint64 // connects refused because it was dead (fail closed)
	Listening       uint64 // times that a listener of the ADM was put into its slot
	Accepted        uint64 // steered connections that the ADM accepted
	Inbound         uint64 // connections from outside that were given to the ADM
	InboundBypassed uint64 // ... to the service, for the ADM was dead (fail open)
	InboundRefused  uint64 // ... reset: it was dead (fail closed), or could not take them (IPv6)

	Enrolled     uint64 // sockets that may be accelerated
	EnrolFailed  uint64 // ... that could not, the map being full: they use the stack
	Withdrawn    uint64 // ... taken out again, for the peer was not enrolled
	Redirected   uint64 // messages that went past the stack
	ThroughStack uint64 // messages of enrolled sockets that did not
}

// steer and accel are the fields in the order of the enums in bpf/steer.h and
// bpf/accel.h.
func (c *Counters) steer() []*uint64 {
	return []*uint64{&c.Steered, &c.EgressBypassed, &c.EgressRefused, &c.Listening, &c.Accepted, &c.Inbound, &c.InboundBypassed, &c.InboundRefused}
}

func (c *Counters) accel() []*uint64 {
	return []*uint64{&c.Enrolled, &c.EnrolFailed, &c.Withdrawn, &c.Redirected, &c.ThroughStack}
}

// readCounters sums what each CPU counted.
func readCounters(m *ebpf.Map, into []*uint64) error {
	if int(m.MaxEntries()) != len(into) {
		return fmt.Errorf("the object has %d counters, %d are known", m.MaxEntries(), len(into))
	}
	for i, n := range into {
		var perCPU []uint64
		if err := m.Lookup(uint32(i), &perCPU); err != nil {
			return fmt.Errorf("read a counter: %w", err)
		}
		for _, v := range perCPU {
			*n += v
		}
	}
	return nil
}
