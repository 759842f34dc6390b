package envoy

import "admc.dev/admc/lang/diag"

// CodeUnsupported is given where no exact Envoy configuration is known for what
// the program asks.
const CodeUnsupported diag.Code = "no-data-plane"
