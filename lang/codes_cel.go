package lang

import (
	"strings"

	"admc.dev/admc/lang/diag"
)

// when puts a condition into a program, for the examples of the codes.
func when(condition string) string {
	return "policy a {\n    on   frontend -> recommendation\n    when { " + condition + " }\n    deny()\n}\n"
}

// celCodes documents what conditions report.
var celCodes = []diag.CodeDoc{{
	Code:    CELSyntax,
	Summary: "A condition is not a sentence of CEL.",
	Bad:     when(`request.method == `),
	Good:    when(`request.method == "PUT"`),
}, {
	Code:    CELType,
	Summary: "An operator or a function in a condition does not take values of these types.",
	Bad:     when(`request.method == 5`),
	Good:    when(`request.method == "PUT"`),
}, {
	Code:    CELUnsupported,
	Summary: "A condition has what CEL allows and the proxy does not run, or what can fail while it runs.",
	Bad:     when(`request.path + "x" == "/ax"`),
	Good:    when(`request.url_path == "/a"`),
}, {
	Code:    UnknownAttribute,
	Summary: "There is no attribute of that name.",
	Bad:     when(`request.methd == "PUT"`),
	Good:    when(`request.method == "PUT"`),
}, {
	Code:    WrongPlane,
	Summary: "An attribute does not exist on the protocol of a call that the policy matches.",
	Bad:     "policy a {\n    on   geo -> mongodb-geo\n    when { request.method == \"PUT\" }\n    deny()\n}\n",
	Good:    "policy a {\n    on   geo -> mongodb-geo\n    when { source.labels[\"tier\"] == \"service\" }\n    deny()\n}\n",
}, {
	Code:    AttributeTooLate,
	Summary: "An attribute is known only after the action that hangs on it has acted.",
	Bad:     when(`response.code == 500`),
	Good:    when(`request.headers["content-length"] == "0"`),
}, {
	Code:    PathCarriesQuery,
	Summary: "request.path, which has the query string in it, is compared with a constant.",
	Bad:     when(`request.path == "/admin"`),
	Good:    when(`request.url_path == "/admin"`),
}, {
	Code:    ConditionTooLarge,
	Summary: "A condition is nested more deeply than the proxy's configuration allows.",
	Bad:     when(strings.Repeat(`!(request.method == "PUT" && `, 60) + "true" + strings.Repeat(")", 60)),
	Good:    when(`request.method == "PUT"`),
}}
