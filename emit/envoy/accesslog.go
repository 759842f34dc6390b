package envoy

import (
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// A field of a log line: its JSON key and Envoy's operator for it.
type field struct{ key, operator string }

var httpFields = []field{
	{"time", "%START_TIME%"}, {"from", "%DOWNSTREAM_REMOTE_ADDRESS%"}, {"to", "%DOWNSTREAM_LOCAL_ADDRESS%"},
	{"method", "%REQ(:METHOD)%"}, {"host", "%REQ(:AUTHORITY)%"}, {"path", "%REQ(:PATH)%"}, {"protocol", "%PROTOCOL%"},
	{"status", "%RESPONSE_CODE%"}, {"details", "%RESPONSE_CODE_DETAILS%"}, {"flags", "%RESPONSE_FLAGS%"},
	{"received", "%BYTES_RECEIVED%"}, {"sent", "%BYTES_SENT%"}, {"duration_ms", "%DURATION%"},
	{"request_id", "%REQ(X-REQUEST-ID)%"},
}

var grpcFields = append(httpFields[:len(httpFields):len(httpFields)], field{"grpc_status", "%GRPC_STATUS%"})

var tcpFields = []field{
	{"time", "%START_TIME%"}, {"from", "%DOWNSTREAM_REMOTE_ADDRESS%"}, {"to", "%DOWNSTREAM_LOCAL_ADDRESS%"},
	{"flags", "%RESPONSE_FLAGS%"}, {"received", "%BYTES_RECEIVED%"}, {"sent", "%BYTES_SENT%"}, {"duration_ms", "%DURATION%"},
}

// accessLogHTTP: access_log(format), one line for each request, refused ones
// included.
func accessLogHTTP(h *httpChain, c *call) {
	fields := httpFields
	if h.grpc {
		fields = grpcFields
	}
	h.log(c, logTo(c, h.name, fields))
}

// log adds an access log, for the requests to which the policy applies.
func (h *httpChain) log(c *call, log *accesslogv3.AccessLog) {
	var filters []*accesslogv3.AccessLogFilter
	if !c.byWhen() {
		filters = append(filters, c.logSwitch())
	}
	if c.when != nil {
		filters = append(filters, c.when.logged())
	}
	logIf(log, filters)
	h.logs = append(h.logs, log)
}

// accessLogTCP: one line for each connection when it ends, refused ones
// included: it hangs on the listener, not on the proxy filter that those never
// reach.
func accessLogTCP(t *tcpChain, c *call) {
	t.log(c, logTo(c, t.l.Name, tcpFields))
}

// logged is the filter "the policy applies" at the time of logging. What is
// decided on the way in is read from the filter state.
func (w *when) logged() *accesslogv3.AccessLogFilter {
	if w.late() {
		return celLogFilter(w.answered())
	}
	return celLogFilter(w.drawn())
}

// logTo writes lines to the standard output of the ADM.
func logTo(c *call, listener string, fields []field) *accesslogv3.AccessLog {
	fields = append([]field{{"policy", escapeFormat(c.policy().Name)}, {"listener", escapeFormat(listener)}}, fields...)
	out := &streamv3.StdoutAccessLog{}
	if c.str("format") == "text" {
		words := make([]string, len(fields))
		for i, f := range fields {
			words[i] = f.operator
		}
		out.AccessLogFormat = &streamv3.StdoutAccessLog_LogFormat{LogFormat: format(strings.Join(words, " ") + "\n")}
	} else {
		st := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for _, f := range fields {
			st.Fields[f.key] = structpb.NewStringValue(f.operator)
		}
		out.AccessLogFormat = &streamv3.StdoutAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: st},
		}}
	}
	return &accesslogv3.AccessLog{Name: c.name, ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: typed(out)}}
}
