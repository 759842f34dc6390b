package lang

import "admc.dev/admc/lang/diag"

// What compileCondition reports.
const (
	CELSyntax         diag.Code = "cel-syntax"
	CELType           diag.Code = "cel-type"
	CELUnsupported    diag.Code = "cel-unsupported"
	UnknownAttribute  diag.Code = "unknown-attribute"
	WrongPlane        diag.Code = "attribute-protocol"
	AttributeTooLate  diag.Code = "attribute-too-late"
	PathCarriesQuery  diag.Code = "path-with-query"
	ConditionTooLarge diag.Code = "condition-too-large"
)
