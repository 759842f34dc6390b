package syntax

import (
	"reflect"
	"testing"

	"admc.dev/admc/lang/diag"
)

// optional fields of the tree, which may be nil.
var optional = map[string]bool{
	"Let.Endpoints": true, "Let.Value": true, "Arg.Name": true, "Endpoints.Except": true, "Request.Protocol": true,
	"Request.Method": true, "Request.Path": true, "Request.Headers": true, "Request.Times": true, "Request.Within": true,
	"Expect.Times": true, "Expect.Of": true, "Expect.By": true, "Param.Default": true, "Type.Elem": true, "Fact.Side": true, "Fact.Number": true, "Fact.Payload": true,
	"Comments.After": true,
}

// checkTree holds a tree to what nodes.go says: spans in the file, children in
// their parents, and nothing nil that may not be. A broken file is no excuse.
func checkTree(t testing.TB, src *diag.Source, f *File) {
	t.Helper()
	for _, d := range f.Decls {
		walk(t, src, reflect.ValueOf(d), d.Span())
		d.DeclName()
	}
}

func walk(t testing.TB, src *diag.Source, v reflect.Value, in diag.Span) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			t.Fatalf("a nil %s in %q", v.Type(), in.Text())
		}
		walk(t, src, v.Elem(), in)
	case reflect.Slice:
		for i := range v.Len() {
			walk(t, src, v.Index(i), in)
		}
	case reflect.Struct:
		walkStruct(t, src, v, in)
	}
}

func walkStruct(t testing.TB, src *diag.Source, v reflect.Value, in diag.Span) {
	t.Helper()
	if l, ok := v.Interface().(Label); ok && l.Op == "" && l.Value == (Ident{}) {
		walk(t, src, reflect.ValueOf(l.Key), in)
		return
	}
	if n, ok := v.Interface().(Node); ok {
		at := n.Span()
		if at.Src == nil {
			t.Fatalf("%s without a place in %q", v.Type(), in.Text())
		}
		checkSpan(t, src, at)
		if at.Start < in.Start || at.End > in.End || at.Start == at.End {
			t.Fatalf("%s [%d,%d) in [%d,%d): %q", v.Type(), at.Start, at.End, in.Start, in.End, in.Text())
		}
		in = at
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch v.Field(i).Interface().(type) {
		case Base, Comments, []Comment, diag.Span:
			continue
		}
		if k := v.Field(i).Kind(); (k == reflect.Pointer || k == reflect.Interface) && v.Field(i).IsNil() {
			if name := v.Type().Name() + "." + field.Name; !optional[name] {
				t.Fatalf("%s is nil in %q", name, in.Text())
			}
			continue
		}
		walk(t, src, v.Field(i), in)
	}
}

func TestTreeOfSources(t *testing.T) {
	for _, c := range Codes {
		src := diag.NewSource("x.adm", []byte(c.Bad))
		checkTree(t, src, Parse(src, &diag.Bag{}))
	}
}
