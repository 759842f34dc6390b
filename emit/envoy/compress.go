package envoy

import (
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
)

// compressHTTP: compress(types), with brotli where the caller takes both.
func compressHTTP(h *httpChain, c *call) {
	var types []*envoymatcherv3.StringMatcher
	for _, t := range texts(c.Args["types"]) {
		types = append(types, &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: t}, IgnoreCase: true})
	}
	for _, library := range []struct {
		name string
		how  proto.Message
	}{{"gzip", &gzipv3.Gzip{}}, {"brotli", &brotliv3.Brotli{}}} {
		h.addOwn(c, c.name+"/"+library.name, &compressorv3.Compressor{
			CompressorLibrary: extension(c.policy().Name, library.how), // the name is a part of the counters' names
			ChooseFirst:       library.name == "brotli",
			ResponseDirectionConfig: &compressorv3.Compressor_ResponseDirectionConfig{
				CommonConfig:         &compressorv3.Compressor_CommonDirectionConfig{ContentTypeMatcher: types, Enabled: c.enabledFlag()},
				WeakenEtagOnCompress: true,
				// An answer to a request for a range is a part of what is not compressed.
				UncompressibleResponseCodes: []uint32{206},
			},
		})
	}
}
