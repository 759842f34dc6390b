package syntax

import (
	"strings"

	"admc.dev/admc/lang/diag"
)

// The codes of this package.
const (
	UnexpectedToken       diag.Code = "unexpected-token"
	UnknownKeyword        diag.Code = "unknown-keyword"
	MissingBrace          diag.Code = "missing-brace"
	MisplacedDeclaration  diag.Code = "misplaced-declaration"
	MisplacedAnnotation   diag.Code = "misplaced-annotation"
	UnterminatedCondition diag.Code = "unterminated-condition"
	EmptyCondition        diag.Code = "empty-condition"
	UnterminatedString    diag.Code = "unterminated-string"
	BadEscape             diag.Code = "bad-escape"
	BadCharacter          diag.Code = "bad-character"
	BadComment            diag.Code = "bad-comment"
	BadEncoding           diag.Code = "bad-encoding"
	BadName               diag.Code = "bad-name"
	BadNumber             diag.Code = "bad-number"
	NumberRange           diag.Code = "number-range"
	NestingTooDeep        diag.Code = "nesting-too-deep"
	FileTooLarge          diag.Code = "file-too-large"
	TooManyErrors         diag.Code = "too-many-errors"
)

// Codes documents them. Bad is "" where an example would be too large to read.
var Codes = []diag.CodeDoc{{
	Code:    UnexpectedToken,
	Summary: "Something stands where the grammar wants something else.",
	Bad:     "policy p {\n    on a => b\n    deny()\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny()\n}\n",
}, {
	Code:    UnknownKeyword,
	Summary: "A word stands where a keyword is wanted, and is none.",
	Bad:     "polcy p {\n    on a -> b\n    deny()\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny()\n}\n",
}, {
	Code:    MissingBrace,
	Summary: "A block is not closed before the next declaration or the end of the file.",
	Bad:     "policy p {\n    on a -> b\n    deny()\n\npolicy q {\n    on c -> d\n    deny()\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny()\n}\n\npolicy q {\n    on c -> d\n    deny()\n}\n",
}, {
	Code:    MisplacedDeclaration,
	Summary: "A declaration stands inside another one; all declarations stand at the top level.",
	Bad:     "policy p {\n    let callers = {a, b}\n    on $callers -> c\n    deny()\n}\n",
	Good:    "let callers = {a, b}\n\npolicy p {\n    on $callers -> c\n    deny()\n}\n",
}, {
	Code:    MisplacedAnnotation,
	Summary: "An annotation stands elsewhere than in front of a policy or an action.",
	Bad:     "policy p {\n    @ingress\n    on a -> b\n    deny()\n}\n",
	Good:    "@ingress\npolicy p {\n    on a -> b\n    deny()\n}\n",
}, {
	Code:    UnterminatedCondition,
	Summary: "The brace that opens a condition is not closed.",
	Bad:     "policy p {\n    on a -> b\n    when { request.method == \"GET\"\n    deny()\n}\n",
	Good:    "policy p {\n    on a -> b\n    when { request.method == \"GET\" }\n    deny()\n}\n",
}, {
	Code:    EmptyCondition,
	Summary: "A condition has no expression; a policy without a condition always holds.",
	Bad:     "policy p {\n    on a -> b\n    when { }\n    deny()\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny()\n}\n",
}, {
	Code:    UnterminatedString,
	Summary: "A string is not closed on the line it starts on.",
	Bad:     "policy p {\n    on a -> b\n    deny(body: \"no)\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny(body: \"no\")\n}\n",
}, {
	Code:    BadEscape,
	Summary: `A backslash in a string starts no escape; escapes are \" \\ \n \r \t and \uXXXX.`,
	Bad:     "policy p {\n    on a -> b\n    deny(body: \"\\d\")\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny(body: \"\\\\d\")\n}\n",
}, {
	Code:    BadCharacter,
	Summary: "A character means nothing in the language, or hides what is written.",
	Bad:     "policy p {\n    on a -> b\n    deny(body: “no”)\n}\n",
	Good:    "policy p {\n    on a -> b\n    deny(body: \"no\")\n}\n",
}, {
	Code:    BadComment,
	Summary: "A comment is written as in another language; comments run from // to the end of the line.",
	Bad:     "# who may call b\nlet callers = {a, c}\n",
	Good:    "// who may call b\nlet callers = {a, c}\n",
}, {
	Code:    BadEncoding,
	Summary: "The file is not UTF-8.",
	Bad:     "// caf\xe9\nlet callers = {a, c}\n",
	Good:    "// café\nlet callers = {a, c}\n",
}, {
	Code:    BadName,
	Summary: "A name has characters that names of its kind have not.",
	Bad:     "policy protect-databases {\n    on a -> b\n    deny()\n}\n",
	Good:    "policy protect_databases {\n    on a -> b\n    deny()\n}\n",
}, {
	Code:    BadNumber,
	Summary: "A number is malformed, or its unit is unknown.",
	Bad:     "policy p {\n    on a -> b\n    timeout(10sec)\n}\n",
	Good:    "policy p {\n    on a -> b\n    timeout(10s)\n}\n",
}, {
	Code:    NumberRange,
	Summary: "A number is too large or too small for what it stands for.",
	Bad:     "policy p {\n    on a -> b\n    sample 110%\n    deny()\n}\n",
	Good:    "policy p {\n    on a -> b\n    sample 100%\n    deny()\n}\n",
}, {
	Code:    NestingTooDeep,
	Summary: "Brackets stand within more brackets than any real program has.",
	Bad:     "let deep = " + strings.Repeat("[", MaxNesting+1) + strings.Repeat("]", MaxNesting+1) + "\n",
	Good:    "let deep = [[1, 2], [3]]\n",
}, {
	Code:    FileTooLarge,
	Summary: "A file is larger than any real program; the files of one program see each other's names, so that it can be divided.",
	Good:    "let callers = {a, c}\n",
}, {
	Code:    TooManyErrors,
	Summary: "The file has so many errors that the rest of it was not read.",
	Good:    "let callers = {a, c}\n",
}}
