package lang

import (
	"slices"
	"strings"

	"admc.dev/admc/graph"
	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// apart are the codes of mistakes that stay mistakes whatever other files hold:
// of one clause, against the graph and the standard actions.
var apart = []diag.Code{
	DuplicateName, DuplicateClause, MissingClause,
	UnknownService, UnknownLabel, UnknownProtocol, UnknownAnnotation, BadAnnotation,
	UnknownArgument, MissingArgument, DuplicateArgument, TooManyArguments, TypeMismatch, UnknownWord, BadValue, UnknownVersion,
	WrongProtocol, UnknownCall, AmbiguousCall, BadRequest,
}

// CheckApart reports what is wrong with files of a program of which others have
// syntax errors: only what those can't be the reason of. A name that isn't
// declared may be declared there, and a rule that isn't kept may be kept there.
func CheckApart(files []*syntax.File, g *graph.Graph, bag *diag.Bag) {
	all := &diag.Bag{}
	Check(files, g, all)
	all.Keep(func(d *diag.Diagnostic) bool {
		known := slices.Contains(apart, d.Code) || slices.ContainsFunc(celCodes, func(c diag.CodeDoc) bool { return c.Code == d.Code })
		return d.Severity == diag.Error && known && !strings.Contains(d.At.Text(), "$")
	})
	bag.Merge(all)
}
