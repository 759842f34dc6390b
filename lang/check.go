// Package lang checks policy programs against a service graph.
//
// In: parsed files and a graph. Out: an ir.Program, in which every policy is
// typed, matched to the calls it touches and turned into obligations with the
// sides they may have. What the program can't mean is reported in the bag, with
// positions; nothing is dropped silently.
package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/ir"
	"admc.dev/admc/lang/syntax"
)

// Check never gives nil; the program is complete only when the bag has no
// errors.
func Check(files []*syntax.File, g *graph.Graph, bag *diag.Bag) *ir.Program {
	return check(prelude(), files, g, bag)
}

// check is Check with any library. Each step sees what the one before it left
// whole: a policy with an error in it is looked at for its other errors, and nothing
// else of the program is held against it.
func check(lib *library, files []*syntax.File, g *graph.Graph, bag *diag.Bag) *ir.Program {
	return newChecker(lib, g, bag).check(files)
}

func newChecker(lib *library, g *graph.Graph, bag *diag.Bag) *checker {
	c := &checker{
		g: g, bag: bag, lib: lib.clone(), idx: newIndex(g),
		lets: map[string]*let{}, declared: map[string]bool{}, terms: map[*ir.Condition]*term{}, matches: map[string][]int32{},
	}
	c.values = &valueChecker{bag: bag, lookup: c.letValue}
	return c
}

func (c *checker) check(files []*syntax.File) *ir.Program {
	c.identity()
	c.declare(files)
	for _, l := range c.inOrder {
		c.resolve(l)
	}
	c.declareActions(files)
	c.kept = c.lib.provided()
	for i, p := range c.policies {
		p.number = i
		c.policy(p)
	}
	for _, p := range c.aside {
		c.policy(p)
	}
	c.order()
	c.chains()
	for _, p := range slices.Concat(c.policies, c.aside) {
		c.settle(p)
	}
	c.idlePins()
	c.carry()
	for _, p := range c.policies {
		if !p.bad {
			c.guard(p)
			c.reverseAllow(p)
		}
	}
	c.giveWay()
	for _, p := range c.policies {
		if !p.bad {
			c.form(p)
		}
	}
	for _, p := range slices.Concat(c.policies, c.aside) {
		if p.bad {
			c.formApart(p)
		}
	}
	c.stamp()
	out := c.program()
	c.lookalikes(out.Obligations)
	c.requires(c.rules)
	c.unused()
	out.Tests = c.tests(c.testNodes)
	return out
}

// A checker is one run of check.
type checker struct {
	g        *graph.Graph
	bag      *diag.Bag
	lib      *library
	own      []*action // the program's, in lib too, as declared
	idx      *index
	values   *valueChecker
	lets     map[string]*let
	letNames []string
	inOrder  []*let          // as declared
	stack    []*let          // being resolved, innermost last
	declared map[string]bool // actions of the program's, wrong ones too
	policies []*policy       // sorted by name
	// aside are the policies that only their own mistakes are looked for in: those
	// whose name is another one's, and those of which a clause could not be read.
	aside []*policy
	rules []*syntax.Require
	// terms are what the residuals of all policies were lowered from.
	terms   map[*ir.Condition]*term
	sealed  map[int32]string // calls that mtls covers, with the trust domain
	settled map[settled]bool // conflicts that priorities decide
	// matches are the calls of `on` items, by their text, in the order of ports.
	matches map[string][]int32
	kept    []string // what some action leaves in its proxy

	ways      *chains     // of the graph; nil where no policy has a path
	carriages []*carriage // of what requests have to tell of their chains

	testNodes []*syntax.Test // as declared

	pairwise bool // the join looks at every pair of obligations; for the tests
}

// declare collects the names of all files. Files of one program see each
// other's names. What has a name that is taken is checked, and nothing means it.
func (c *checker) declare(files []*syntax.File) {
	policies, requires := map[string]*syntax.Policy{}, map[string]*syntax.Require{}
	for _, f := range files {
		for _, p := range f.Partial {
			c.aside = append(c.aside, newPolicy(p))
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *syntax.Let:
				l := &let{node: d}
				c.inOrder = append(c.inOrder, l)
				if first := c.lets[d.Name.Name]; first != nil {
					c.twice("let", d.Name, first.node.Name)
					continue
				}
				c.lets[d.Name.Name] = l
				c.letNames = append(c.letNames, d.Name.Name)
			case *syntax.Policy:
				if first := policies[d.Name.Name]; first != nil {
					c.twice("policy", d.Name, first.Name)
					c.aside = append(c.aside, newPolicy(d))
					continue
				}
				c.fits(d.Name)
				policies[d.Name.Name] = d
				c.policies = append(c.policies, newPolicy(d))
			case *syntax.Action:
				c.fits(d.Name)
				c.declared[d.Name.Name] = true
			case *syntax.Require:
				c.rules = append(c.rules, d)
				if first := requires[d.Name.Name]; first != nil {
					c.twice("require", d.Name, first.Name)
					continue
				}
				requires[d.Name.Name] = d
			case *syntax.Test:
				c.testNodes = append(c.testNodes, d)
			}
		}
	}
	slices.SortFunc(c.policies, func(p, q *policy) int { return strings.Compare(p.ir.Name, q.ir.Name) })
}

// longestName is that of a Kubernetes object. A key of an emitted YAML file, which
// can hold the names of a policy and of an action, has at most 1024 bytes.
const longestName = 253

// fits refuses a name that is too long for the files in which it is emitted.
func (c *checker) fits(name syntax.Ident) {
	if len(name.Name) > longestName {
		c.bag.Errorf(name.At, BadValue, "a name can't be longer than %d bytes, and this one has %d", longestName, len(name.Name))
	}
}

func (c *checker) twice(kind string, again, first syntax.Ident) {
	c.bag.Errorf(again.At, DuplicateName, "there are two of %s %s", kind, again.Name).
		WithNote(first.At, "the first is here")
}

// declareActions reads the program's own actions. Their defaults and payloads
// may use lets.
func (c *checker) declareActions(files []*syntax.File) {
	for _, f := range files {
		for _, d := range f.Decls {
			if d, ok := d.(*syntax.Action); ok {
				if a := c.lib.add(d, c.values, c.bag); a != nil {
					c.own = append(c.own, a)
				}
			}
		}
	}
	if len(c.own) > 0 {
		c.lib.needs(c.bag)
	}
}

// unused warns of declarations, unless an error may be why nothing uses one.
func (c *checker) unused() {
	if c.bag.HasErrors() {
		return
	}
	for _, l := range c.inOrder {
		if !l.used {
			c.bag.Warnf(l.node.Name.At, UnusedLet, "let %s is not used", l.node.Name.Name)
		}
	}
	for _, a := range c.own {
		if !a.used {
			c.bag.Warnf(a.decl.At, UnusedAction, "action %s is not used", a.decl.Name)
		}
	}
}

// program gathers the result, with what joins obligations of several policies.
func (c *checker) program() *ir.Program {
	out := &ir.Program{Actions: c.lib.decls()}
	n := 0
	for _, p := range c.policies {
		n += len(p.obligations) + len(p.stamps)
	}
	all := make([]*obligation, 0, n)
	out.Obligations = make([]*ir.Obligation, 0, n)
	for _, p := range c.policies {
		out.Policies = append(out.Policies, p.ir)
		all = append(all, p.obligations...)
		all = append(all, p.stamps...)
	}
	for _, o := range all {
		out.Obligations = append(out.Obligations, o.ir)
	}
	out.Rows = c.join(all)
	out.Closed = c.closeServices()
	return out
}
