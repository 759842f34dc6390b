package envoy

import (
	"os"
	"path/filepath"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"admc.dev/admc/emit"
)

// A configuration is the text of an ADM's two files.
type configuration struct{ policies, bootstrap []byte }

func configurationOf(files *emit.Files, dir string) configuration {
	policies, _ := files.Get(dir + "/" + FileName)
	bootstrap, _ := files.Get(dir + "/" + BootstrapName)
	return configuration{policies, bootstrap}
}

// check is what Check says of the configuration with other policies.
func (c configuration) check(policies string) []error {
	return Check("x", [][]byte{[]byte(policies), c.bootstrap})
}

// merged is what Envoy makes of the two.
func (c configuration) merged(t testing.TB) *bootstrapv3.Bootstrap {
	t.Helper()
	out := parsed(t, c.policies)
	proto.Merge(out, parsed(t, c.bootstrap))
	return out
}

func parsed(t testing.TB, text []byte) *bootstrapv3.Bootstrap {
	t.Helper()
	js, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	boot := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(js, boot); err != nil {
		t.Fatal(err)
	}
	return boot
}

// arguments are those by which Envoy has the configuration.
func (c configuration) arguments(t testing.TB) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, c.policies, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"--config-path", path, "--config-yaml", string(c.bootstrap)}
}
