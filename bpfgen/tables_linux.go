package bpfgen

import (
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// The keys and values of the maps of bpf/steer.h, field by field.
type (
	destination struct {
		Address [16]byte // an IPv4 address as ::ffff:a.b.c.d
		Port    uint16
		_       uint16
	}
	target struct {
		Slot  uint32
		Port  uint16
		Flags uint16
	}
)

const flagFailOpen = 1

// tables are the contents of a pod's maps.
type tables struct {
	egress      map[destination]target
	ingress     map[uint32]target
	slots       map[uint32]uint32 // listener port -> slot
	accelerated map[uint32]bool   // server ports
}

// newTables joins the configuration with the addresses of its receivers. A
// receiver without an address, and two that share an address and a port, are
// refused: the one would leave calls unsteered, the other would mix policies.
func newTables(c *Config, addresses map[string][]netip.Addr) (*tables, error) {
	t := &tables{
		egress:      map[destination]target{},
		ingress:     map[uint32]target{},
		slots:       map[uint32]uint32{},
		accelerated: map[uint32]bool{},
	}
	for _, r := range c.Ingress {
		t.ingress[uint32(r.Port)] = t.target(r.Listener, r.Fail)
		if r.Accelerate {
			t.accelerated[uint32(r.Port)] = true
		}
	}
	owner := map[destination]string{}
	for _, r := range c.Egress {
		if len(addresses[r.Receiver]) == 0 {
			return nil, fmt.Errorf("no address of %s is given, so calls to it can't be steered", r.Receiver)
		}
		to := t.target(r.Listener, r.Fail)
		for _, a := range addresses[r.Receiver] {
			if !a.IsValid() || a.IsUnspecified() {
				return nil, fmt.Errorf("an address given for %s is %v", r.Receiver, a)
			}
			d := destination{Address: a.As16(), Port: uint16(r.Port)}
			if o, dup := owner[d]; dup && o != r.Receiver {
				return nil, fmt.Errorf("%s and %s share the address %s:%d, so calls to them can't be told apart", o, r.Receiver, a, r.Port)
			}
			owner[d] = r.Receiver
			t.egress[d] = to
		}
		if r.Accelerate {
			t.accelerated[uint32(r.Listener)] = true
		}
	}
	return t, nil
}

// target gives a listener the next slot.
func (t *tables) target(listener int, fail FailMode) target {
	slot := uint32(len(t.slots))
	t.slots[uint32(listener)] = slot
	to := target{Slot: slot, Port: uint16(listener)}
	if fail == FailOpen {
		to.Flags = flagFailOpen
	}
	return to
}

// size fits the maps of the steering object to their contents.
func (t *tables) size(s *ebpf.CollectionSpec) {
	for name, n := range map[string]int{
		"egress": len(t.egress), "ingress": len(t.ingress), "slots": len(t.slots), "listeners": len(t.slots),
	} {
		s.Maps[name].MaxEntries = uint32(max(n, 1)) // the kernel makes no empty map
	}
}

// fill writes the steering object's maps.
func (t *tables) fill(maps map[string]*ebpf.Map) error {
	for k, v := range t.egress {
		if err := maps["egress"].Put(k, v); err != nil {
			return fmt.Errorf("fill the table of destinations: %w", err)
		}
	}
	for k, v := range t.ingress {
		if err := maps["ingress"].Put(k, v); err != nil {
			return fmt.Errorf("fill the table of ports: %w", err)
		}
	}
	for k, v := range t.slots {
		if err := maps["slots"].Put(k, v); err != nil {
			return fmt.Errorf("fill the table of listeners: %w", err)
		}
	}
	return nil
}
