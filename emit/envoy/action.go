package envoy

import "admc.dev/admc/lang/ir"

// A lowering turns one action into configuration. A nil function: Envoy has no
// way to do the action on that plane.
type lowering struct {
	http func(h *httpChain, c *call) // http and grpc
	tcp  func(t *tcpChain, c *call)
	// routed names what the action decides by the choice of the route, of which
	// one request can have only one; "": it does not act there.
	routed string
	// several of what is routed can hold for one request.
	several bool
	// wrapper: stands outside everything that acts on the edge.
	wrapper bool
	// writes gives the parts of the request that the action changes, as
	// ir.Condition.Reads spells them.
	writes func(c *call) []string
	// commutes reports whether the action gives the same outcome in front of a
	// wrapper as behind it; nil: never.
	commutes func(c *call, wrapper *call) bool
	// once: it is done once for all requests, so that no condition and no switch
	// can be in it.
	once bool
	// clustered: it is a property of the cluster. A policy that does nothing else
	// on the route has no switch, for which there would be a second cluster.
	clustered bool
	// chained: on byte streams, only another filter chain leaves it undone.
	chained bool
	// observes: on a byte stream it hangs on the listener, where it sees every
	// connection.
	observes bool
	// byPath reports whether what it does hangs on the request's path, so that all
	// spellings of a path must be one; nil: never.
	byPath func(c *call) bool
	// waits reports whether a request stays where the action is until somebody has
	// answered, or for a time; nil: never.
	waits func(c *call) bool
	// peek puts in front of wrappers what their conditions read of an action
	// that is behind them; nil: nothing.
	peek func(h *httpChain, c *call)
}

// lowerings is every action this backend knows.
var lowerings = map[string]*lowering{
	"deny":              {http: denyHTTP, tcp: denyTCP, chained: true},
	"allow":             {http: allowHTTP, tcp: denyTCP, chained: true},
	"rate_limit":        {http: rateLimitHTTP, tcp: rateLimitTCP, waits: asksGlobally},
	"set_header":        {http: setHeader, writes: headerWritten, commutes: requestOnly},
	"append_header":     {http: appendHeader, writes: headerWritten, commutes: requestOnly},
	"remove_header":     {http: removeHeader, writes: headerWritten, commutes: requestOnly},
	"timeout":           {http: timeoutHTTP, routed: "timeout", wrapper: true},
	"idle_timeout":      {http: idleTimeoutHTTP, tcp: idleTimeoutTCP, routed: "idle", wrapper: true, chained: true},
	"retry":             {http: retryHTTP, routed: "retry", wrapper: true},
	"connect_timeout":   {http: connectTimeoutHTTP, tcp: connectTimeoutTCP, routed: "connect", commutes: always, clustered: true},
	"route":             {http: routeHTTP, tcp: routeTCP, routed: "version", commutes: always, chained: true},
	"split":             {http: splitHTTP, tcp: splitTCP, routed: "version", commutes: always, chained: true},
	"fault":             {http: faultHTTP, waits: delays},
	"jwt":               {http: jwtHTTP, writes: jwtWrites, peek: jwtPeek, waits: fetchesKeys},
	"access_log":        {http: accessLogHTTP, tcp: accessLogTCP, observes: true},
	"trace":             {http: traceHTTP, writes: traceWrites, once: true},
	"tag":               {http: tagHTTP},
	"metric":            {http: metricHTTP, tcp: metricTCP, observes: true},
	ir.StampAction:      {http: stampHTTP, writes: stampWritten, commutes: always, once: true},
	"lb":                {http: lbHTTP, tcp: lbTCP, routed: "lb", commutes: always, clustered: true},
	"locality":          {http: localityHTTP, tcp: localityTCP, routed: "locality", commutes: always, clustered: true},
	"mirror":            {http: mirrorHTTP, routed: "mirror", several: true, commutes: mirrorCommutes},
	"hedge":             {http: hedgeHTTP, routed: "hedge", wrapper: true},
	"outlier_detection": {http: outlierHTTP, tcp: outlierTCP, routed: "outlier", commutes: outlierCommutes, clustered: true},
	"cors":              {http: corsHTTP},
	"ext_authz":         {http: extAuthzHTTP, waits: func(*call) bool { return true }, byPath: func(*call) bool { return true }},
	"concurrency_limit": {http: concurrencyHTTP, tcp: concurrencyTCP, chained: true},
	"bandwidth_limit":   {http: bandwidthHTTP},
	"max_body":          {http: maxBodyHTTP, writes: lengthWritten},
	"rewrite":           {http: rewriteHTTP, writes: rewritten, commutes: unread, byPath: rewritesPath},
	"redirect":          {http: redirectHTTP},
	"respond":           {http: respondHTTP},
	"compress":          {http: compressHTTP},
	"mtls":              {http: mtlsHTTP, tcp: mtlsTCP, commutes: always, once: true},
}

func always(*call, *call) bool { return true }
