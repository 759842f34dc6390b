package envoy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// typed packs a message that this package built; it can't fail.
func typed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

// extension is a named typed configuration.
func extension(name string, m proto.Message) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: typed(m)}
}

func seconds(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

// off is a duration of zero, by which Envoy means "no limit" where it has a
// default of its own.
func off() *durationpb.Duration { return durationpb.New(0) }

func u32(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }

func yes() *wrapperspb.BoolValue { return wrapperspb.Bool(true) }

func no() *wrapperspb.BoolValue { return wrapperspb.Bool(false) }

// address is a TCP address.
func address(ip string, port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// inline is a constant in a place that may name a file.
func inline(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

// format is a substitution format (Envoy's access log syntax).
func format(s string) *corev3.SubstitutionFormatString {
	return &corev3.SubstitutionFormatString{
		Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: inline(s)},
	}
}

// fraction of requests, to a millionth; the smallest denominator that is exact.
func fraction(share float64) *typev3.FractionalPercent {
	for _, d := range []struct {
		of  float64
		den typev3.FractionalPercent_DenominatorType
	}{{100, typev3.FractionalPercent_HUNDRED}, {1e4, typev3.FractionalPercent_TEN_THOUSAND}} {
		n := share * d.of
		if r := float64(uint32(n + 0.5)); n-r < 1e-9 && r-n < 1e-9 {
			return &typev3.FractionalPercent{Numerator: uint32(r), Denominator: d.den}
		}
	}
	return &typev3.FractionalPercent{Numerator: uint32(share*1e6 + 0.5), Denominator: typev3.FractionalPercent_MILLION}
}

func runtimeFraction(share float64) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: fraction(share)}
}
