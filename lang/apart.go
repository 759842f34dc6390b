package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// ofClause are the codes of mistakes that one clause makes alone, against the graph
// and the standard actions, whatever stands beside it.
var ofClause = []diag.Code{
	UnknownService, UnknownLabel, UnknownProtocol, UnknownAnnotation,
	UnknownArgument, MissingArgument, DuplicateArgument, TooManyArguments, TypeMismatch, UnknownWord, BadValue,
}

// ofDeclaration are those that a whole declaration makes, whatever others there are.
var ofDeclaration = []diag.Code{
	DuplicateName, DuplicateClause, MissingClause, BadAnnotation, UnknownVersion, WrongProtocol, UnknownCall, AmbiguousCall, BadRequest,
}

// ofProgram are those that all policies together make, whatever the graph is.
var ofProgram = []diag.Code{UnknownAction, UnknownLet, LetCycle, UnknownPolicy, OrderCycle, BadAction, Conflict}

// ofGraph are those among them all that a graph has a part in.
var ofGraph = []diag.Code{UnknownService, UnknownLabel, UnknownVersion, WrongProtocol, WrongPlane, UnknownCall, AmbiguousCall, BadRequest}

// CheckWithoutGraph reports what is wrong with a program whose graph could not be
// read, whatever the graph is. lost: something of the program could not be read either.
func CheckWithoutGraph(files []*syntax.File, lost bool, bag *diag.Bag) {
	all, g := &diag.Bag{}, &graph.Graph{Namespace: "default", Identity: graph.IdentityNone}
	if lost {
		CheckApart(files, g, all)
	} else {
		Check(files, g, all)
	}
	all.Keep(func(d *diag.Diagnostic) bool {
		return d.Severity == diag.Error && !slices.Contains(ofGraph, d.Code) && (ofParts(d.Code) || slices.Contains(ofProgram, d.Code))
	})
	bag.Merge(all)
}

// ofParts reports the code of a mistake that one clause or one declaration makes.
func ofParts(code diag.Code) bool {
	return slices.Contains(ofClause, code) || slices.Contains(ofDeclaration, code) ||
		slices.ContainsFunc(celCodes, func(c diag.CodeDoc) bool { return c.Code == code })
}

// CheckApart reports what is wrong with a program of which something could not be
// read: only what that can't be the reason of. A name that isn't declared may be
// declared there, a rule that isn't kept may be kept there, and of a policy that
// lost a clause only the others are judged, each by itself.
func CheckApart(files []*syntax.File, g *graph.Graph, bag *diag.Bag) {
	all := &diag.Bag{}
	Check(files, g, all)
	all.Keep(func(d *diag.Diagnostic) bool {
		switch {
		case d.Severity != diag.Error || strings.Contains(d.At.Text(), "$"):
			return false
		case slices.Contains(ofClause, d.Code):
			return true
		case slices.ContainsFunc(files, func(f *syntax.File) bool { return inPartial(f, d.At) }):
			return false
		}
		return ofParts(d.Code)
	})
	bag.Merge(all)
}

// inPartial reports whether a place is in a policy that lost a clause.
func inPartial(f *syntax.File, at diag.Span) bool {
	return f.Src == at.Src && slices.ContainsFunc(f.Partial, func(p *syntax.Policy) bool {
		return p.At.Start <= at.Start && at.End <= p.At.End
	})
}
