package envoy

import (
	"fmt"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	httpstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	samplersv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/samplers/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"

	"admc.dev/admc/lang/ir"
)

// tracedHeaders are what the tracer writes: when the request leaves, after all
// filters.
var tracedHeaders = []string{`request.headers["traceparent"]`, `request.headers["tracestate"]`}

func traceWrites(*call) []string { return tracedHeaders }

// traceHTTP: trace(share, collector). The decision is the caller's where the
// request is traced already, else a draw by the new trace's id; all before any
// filter runs, so nothing that a filter decides can be a condition of it.
func traceHTTP(h *httpChain, c *call) {
	if c.when != nil {
		h.cannot(c.Action, "trace with a condition or a sample: whether a request is traced is decided before any condition; use share")
		return
	}
	if slices.ContainsFunc(h.whens(), func(w *when) bool { return w.readsAny(tracedHeaders) }) {
		h.cannot(c.Action, "trace beside a condition that reads traceparent or tracestate: they are written when the request leaves")
		return
	}
	h.tracing = &hcmv3.HttpConnectionManager_Tracing{
		// The name of the span is the call, not the path, which may be a person's.
		Operation: escapeFormat(fmt.Sprintf("%s:%d", h.l.Receiver.NodeName(), h.l.ReceiverPort)),
		Provider: &tracev3.Tracing_Http{Name: "otlp", ConfigType: &tracev3.Tracing_Http_TypedConfig{
			TypedConfig: typed(&tracev3.OpenTelemetryConfig{
				GrpcService: &corev3.GrpcService{
					TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: h.grpcCluster(c.str("collector"))}},
					Timeout:         seconds(10 * time.Second),
				},
				ServiceName: h.Service.Name,
				Sampler: extension("envoy.tracers.opentelemetry.samplers.parent_based", &samplersv3.ParentBasedSamplerConfig{
					WrappedSampler: extension("envoy.tracers.opentelemetry.samplers.trace_id_ratio_based", &samplersv3.TraceIdRatioBasedSamplerConfig{
						SamplingPercentage: fraction(c.Args["share"].Float),
					}),
				}),
			}),
		}},
	}
}

// tagHTTP: tag(name, value). A tag with a condition is written into the filter
// state where it holds; the span has no tag for what isn't there. Envoy takes one
// tag of a name, so that those whose conditions exclude each other share a key.
func tagHTTP(h *httpChain, c *call) {
	name, value := c.str("name"), c.str("value")
	if c.when == nil {
		h.tags = append(h.tags, &tracingv3.CustomTag{Tag: name, Type: &tracingv3.CustomTag_Literal_{Literal: &tracingv3.CustomTag_Literal{Value: value}}})
		return
	}
	key, known := h.tagKeys[name]
	if !known {
		key = "admc." + c.name
		if h.tagKeys == nil {
			h.tagKeys = map[string]string{}
		}
		h.tagKeys[name] = key
		h.tags = append(h.tags, &tracingv3.CustomTag{Tag: name, Type: &tracingv3.CustomTag_Value{Value: "%FILTER_STATE(" + key + ":PLAIN)%"}})
	}
	h.add(c, &httpstatev3.Config{OnRequestHeaders: []*statev3.FilterStateValue{stateValue(key, escapeFormat(value))}})
}

// trace makes the connection manager record spans.
func (h *httpChain) trace(m *hcmv3.HttpConnectionManager) {
	if h.tracing == nil {
		return
	}
	h.tracing.CustomTags = h.tags
	m.Tracing = h.tracing
	m.RequestIdExtension = keepRequestID()
}

// direction is what decides whether spans are a client's or a server's.
func (h *httpChain) direction() corev3.TrafficDirection {
	switch {
	case h.tracing == nil:
		return corev3.TrafficDirection_UNSPECIFIED
	case h.l.Side == ir.Ingress:
		return corev3.TrafficDirection_INBOUND
	}
	return corev3.TrafficDirection_OUTBOUND
}
