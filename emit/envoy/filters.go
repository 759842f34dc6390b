package envoy

import "google.golang.org/protobuf/reflect/protoreflect"

// The messages that configure a filter, below envoy.extensions.filters: those
// that Envoy 1.40 registers, without what its routes hold. The value says why an
// action can't be one; "" when it can.
var (
	httpFilters = map[protoreflect.FullName]string{
		"a2a.v3.A2a": "",
		"adaptive_concurrency.v3.AdaptiveConcurrency":               "",
		"admission_control.v3.AdmissionControl":                     "",
		"ai_protocol_manager.v3.AiProtocolManager":                  "",
		"alternate_protocols_cache.v3.FilterConfig":                 "",
		"api_key_auth.v3.ApiKeyAuth":                                "",
		"aws_eventstream_parser.v3.AwsEventstreamParser":            "",
		"aws_lambda.v3.Config":                                      answersAlways,
		"aws_request_signing.v3.AwsRequestSigning":                  "",
		"bandwidth_limit.v3.BandwidthLimit":                         "",
		"bandwidth_share.v3.BandwidthShare":                         "",
		"basic_auth.v3.BasicAuth":                                   "",
		"body_size_limit.v3.BodySizeLimit":                          "",
		"buffer.v3.Buffer":                                          "",
		"cache.v3.CacheConfig":                                      "",
		"cache_v2.v3.CacheV2Config":                                 "",
		"cdn_loop.v3.CdnLoopConfig":                                 "",
		"composite.v3.Composite":                                    "",
		"compressor.v3.Compressor":                                  "",
		"connect_grpc_bridge.v3.FilterConfig":                       "",
		"cors.v3.Cors":                                              "what it does is written into routes; cors is a standard action",
		"credential_injector.v3.CredentialInjector":                 "",
		"csrf.v3.CsrfPolicy":                                        "",
		"custom_response.v3.CustomResponse":                         "",
		"decompressor.v3.Decompressor":                              "",
		"dynamic_forward_proxy.v3.FilterConfig":                     choosesReceiver,
		"dynamic_modules.v3.DynamicModuleFilter":                    "",
		"ext_authz.v3.ExtAuthz":                                     "",
		"ext_proc.v3.ExternalProcessor":                             "",
		"fault.v3.HTTPFault":                                        "",
		"file_server.v3.FileServerConfig":                           "",
		"file_system_buffer.v3.FileSystemBufferFilterConfig":        "",
		"filter_chain.v3.FilterChainConfig":                         "",
		"gcp_authn.v3.GcpAuthnFilterConfig":                         "",
		"geoip.v3.Geoip":                                            "",
		"grpc_field_extraction.v3.GrpcFieldExtractionConfig":        "",
		"grpc_http1_bridge.v3.Config":                               "",
		"grpc_http1_reverse_bridge.v3.FilterConfig":                 "",
		"grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder": "",
		"grpc_json_transcoder.v3.GrpcJsonTranscoder":                "",
		"grpc_stats.v3.FilterConfig":                                "",
		"grpc_web.v3.GrpcWeb":                                       "",
		"header_mutation.v3.HeaderMutation":                         "",
		"header_to_metadata.v3.Config":                              "",
		"health_check.v3.HealthCheck":                               "",
		"ip_tagging.v3.IPTagging":                                   "",
		"json_to_metadata.v3.JsonToMetadata":                        "",
		"jwt_authn.v3.JwtAuthentication":                            "",
		"local_ratelimit.v3.LocalRateLimit":                         "",
		"lua.v3.Lua":                                                "",
		"mcp.v3.Mcp":                                                "",
		"mcp_json_rest_bridge.v3.McpJsonRestBridge":                 "",
		"mcp_router.v3.McpRouter":                                   takesRequest,
		"oauth2.v3.OAuth2":                                          "",
		"on_demand.v3.OnDemand":                                     "it asks a control plane, and an ADM has none",
		"original_src.v3.OriginalSrc":                               "",
		"proto_api_scrubber.v3.ProtoApiScrubberConfig":              "",
		"proto_message_extraction.v3.ProtoMessageExtractionConfig":  "",
		"rate_limit_quota.v3.RateLimitQuotaFilterConfig":            "",
		"ratelimit.v3.RateLimit":                                    "",
		"rbac.v3.RBAC":                                              "",
		"router.v3.Router":                                          takesRequest,
		"set_filter_state.v3.Config":                                "",
		"set_metadata.v3.Config":                                    "",
		"sse_to_metadata.v3.SseToMetadata":                          "",
		"stateful_session.v3.StatefulSession":                       choosesReceiver,
		"tap.v3.Tap":                                                "",
		"thrift_to_metadata.v3.ThriftToMetadata":                    "",
		"transform.v3.TransformConfig":                              "",
		"wasm.v3.Wasm":                                              "",
	}
	networkFilters = map[protoreflect.FullName]string{
		"connection_limit.v3.ConnectionLimit":               "",
		"direct_response.v3.Config":                         takesConnection,
		"dubbo_proxy.v3.DubboProxy":                         takesConnection,
		"dynamic_modules.v3.DynamicModuleNetworkFilter":     "",
		"echo.v3.Echo":                                      takesConnection,
		"ext_authz.v3.ExtAuthz":                             "",
		"ext_proc.v3.NetworkExternalProcessor":              "",
		"generic_proxy.v3.GenericProxy":                     takesConnection,
		"geoip.v3.Geoip":                                    "",
		"http_connection_manager.v3.HttpConnectionManager":  takesConnection,
		"local_ratelimit.v3.LocalRateLimit":                 "",
		"mongo_proxy.v3.MongoProxy":                         "",
		"ratelimit.v3.RateLimit":                            "",
		"rbac.v3.RBAC":                                      "",
		"redis_proxy.v3.RedisProxy":                         takesConnection,
		"reverse_tunnel.v3.DrainAwareHttpConnectionManager": takesConnection,
		"reverse_tunnel.v3.ReverseTunnel":                   takesConnection,
		"set_filter_state.v3.Config":                        "",
		"sni_cluster.v3.SniCluster":                         choosesReceiver,
		"sni_dynamic_forward_proxy.v3.FilterConfig":         choosesReceiver,
		"tcp_bandwidth_limit.v3.TcpBandwidthLimit":          "",
		"tcp_proxy.v3.TcpProxy":                             takesConnection,
		"thrift_proxy.v3.ThriftProxy":                       takesConnection,
		"wasm.v3.Wasm":                                      "",
		"zookeeper_proxy.v3.ZooKeeperProxy":                 "",
	}
)

const (
	answersAlways   = "it answers every request itself, so that none would reach the receiver"
	choosesReceiver = "it chooses where requests go, and the receiver of a call is the graph's"
	takesRequest    = "it takes the request, so that nothing behind it would act"
	takesConnection = "it takes the connection, so that nothing behind it would act"
)

// Where those names continue.
const (
	httpFilterPackage    = "envoy.extensions.filters.http."
	networkFilterPackage = "envoy.extensions.filters.network."
)
