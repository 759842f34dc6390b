package lang

import "admc.dev/admc/lang/diag"

// What the checker reports. Conditions have their own codes.
const (
	DuplicateName   diag.Code = "duplicate-name"
	DuplicateClause diag.Code = "duplicate-clause"
	MissingClause   diag.Code = "missing-clause"
	NotYet          diag.Code = "not-yet"

	UnknownService  diag.Code = "unknown-service"
	UnknownLabel    diag.Code = "unknown-label"
	UnknownProtocol diag.Code = "unknown-protocol"
	UnknownLet      diag.Code = "unknown-let"
	UnusedLet       diag.Code = "unused-let"
	LetCycle        diag.Code = "let-cycle"

	UnknownAnnotation diag.Code = "unknown-annotation"
	BadAnnotation     diag.Code = "bad-annotation"

	UnknownAction     diag.Code = "unknown-action"
	UnknownArgument   diag.Code = "unknown-argument"
	MissingArgument   diag.Code = "missing-argument"
	DuplicateArgument diag.Code = "duplicate-argument"
	TooManyArguments  diag.Code = "too-many-arguments"
	TypeMismatch      diag.Code = "type-mismatch"
	UnknownWord       diag.Code = "unknown-word"
	BadValue          diag.Code = "bad-value"
	UnknownVersion    diag.Code = "unknown-version"

	NoEdges       diag.Code = "no-edges"
	AlwaysFalse   diag.Code = "always-false"
	WrongProtocol diag.Code = "wrong-protocol"

	NoSide        diag.Code = "no-side"
	SideDependent diag.Code = "side-dependent"
	DividedBudget diag.Code = "divided-budget"
	NoProvider    diag.Code = "no-provider"
	AgainstOrder  diag.Code = "against-order"
	Conflict      diag.Code = "conflict"
)
