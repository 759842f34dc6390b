package lang

import (
	"encoding/binary"

	"admc.dev/admc/lang/syntax"
)

// A pattern of a path says how a call chain ends. It is cut at `~>` into blocks;
// inside a block every step is one call further (`->`).
//
// A chain ends as the pattern says if the blocks stand in it in their order,
// without overlapping, and the last one at its end. It is enough to look for the
// earliest end of each block but the last: whatever a later end leaves room for,
// the earliest one does too.
type pattern struct {
	blocks [][]nodeSet
	key    string // equal patterns have equal keys
}

// pattern resolves the steps of a path; nil when a name in them is wrong, which
// is then reported.
func (c *checker) pattern(n *syntax.Path) *pattern {
	sets, whole := make([]nodeSet, len(n.Steps)), true
	for i, s := range n.Steps {
		set, ok := c.endpoints(s)
		sets[i], whole = set, whole && ok
	}
	if !whole {
		return nil
	}
	p := &pattern{blocks: [][]nodeSet{{sets[0]}}}
	for i, a := range n.Arrows {
		if a.Many {
			p.blocks = append(p.blocks, nil)
		}
		last := len(p.blocks) - 1
		p.blocks[last] = append(p.blocks[last], sets[i+1])
	}
	var key []byte
	for _, b := range p.blocks {
		key = binary.AppendUvarint(key, uint64(len(b)))
		for _, s := range b {
			key = s.text(key)
		}
	}
	p.key = string(key)
	return p
}

func (p *pattern) last() []nodeSet { return p.blocks[len(p.blocks)-1] }

// receivers are the nodes that the pattern ends at.
func (p *pattern) receivers() nodeSet {
	b := p.last()
	return b[len(b)-1]
}

// senders are the nodes from which the last call may come; nil: any.
func (p *pattern) senders() nodeSet {
	b := p.last()
	if len(b) == 1 {
		return nil
	}
	return b[len(b)-2]
}

// A progress is how far a chain has got in a pattern.
type progress struct {
	done int // blocks that have ended, without the last one
	// begun[k]: the chain ends with the first k steps of the block in hand; k is
	// at least 1 and less than the block's length.
	begun []bool
	ends  bool // the chain ends as the pattern says
}

// step goes on to a node. has says of each step of the block in hand whether the
// node is in it.
func (p *pattern) step(at progress, has func(set nodeSet) bool) progress {
	block := p.blocks[at.done]
	next := progress{done: at.done, begun: make([]bool, len(block))}
	whole := false
	for k := range block {
		if k > 0 && (k >= len(at.begun) || !at.begun[k]) || !has(block[k]) {
			continue
		}
		if k+1 == len(block) {
			whole = true
		} else {
			next.begun[k+1] = true
		}
	}
	switch {
	case whole && at.done < len(p.blocks)-1:
		return progress{done: at.done + 1}
	case whole:
		next.ends = true
	}
	return next
}

// text adds the progress to a key.
func (at progress) text(b []byte) []byte {
	last := 0
	for k, yes := range at.begun {
		if yes {
			last = k
		}
	}
	b = binary.AppendUvarint(b, uint64(at.done))
	b = binary.AppendUvarint(b, uint64(last))
	for k := 1; k <= last; k++ {
		b = append(b, yesByte(at.begun[k]))
	}
	return append(b, yesByte(at.ends))
}

func yesByte(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}

// text adds the set to a key; one without gaps, such as all services, is short.
func (s nodeSet) text(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	if len(s) > 0 && int(s[len(s)-1]-s[0]) == len(s)-1 {
		return binary.AppendUvarint(append(b, 1), uint64(s[0]))
	}
	b = append(b, 0)
	for _, n := range s {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}
