package syntax

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"admc.dev/admc/lang/diag"
)

// dump writes a tree without places and comments: what the checker can see.
func dump(v any) string {
	var b strings.Builder
	dumpValue(&b, reflect.ValueOf(v))
	return b.String()
}

func dumpValue(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		dumpValue(b, v.Elem())
	case reflect.Slice:
		b.WriteString("[")
		for i := range v.Len() {
			dumpValue(b, v.Index(i))
			b.WriteString(" ")
		}
		b.WriteString("]")
	case reflect.Struct:
		dumpStruct(b, v)
	default:
		fmt.Fprintf(b, "%v", v.Interface())
	}
}

func dumpStruct(b *strings.Builder, v reflect.Value) {
	if c, ok := v.Interface().(CEL); ok {
		fmt.Fprintf(b, "CEL%q", strings.TrimSpace(strings.ReplaceAll(c.Text, "\r\n", "\n")))
		return
	}
	b.WriteString(v.Type().Name() + "{")
	for i := range v.NumField() {
		switch v.Field(i).Interface().(type) {
		case Base, Comments, []Comment, *diag.Source, diag.Span:
		case string:
			fmt.Fprintf(b, "%s:%q ", v.Type().Field(i).Name, v.Field(i).Interface())
		default:
			b.WriteString(v.Type().Field(i).Name + ":")
			dumpValue(b, v.Field(i))
			b.WriteString(" ")
		}
	}
	b.WriteString("}")
}

func comments(f *File) string {
	var b strings.Builder
	for _, c := range f.Comments {
		fmt.Fprintln(&b, c.Text)
	}
	return b.String()
}

func printed(t testing.TB, f *File) string {
	t.Helper()
	var b bytes.Buffer
	if err := Print(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkPrint holds a text to what Print promises, and gives what it printed.
func checkPrint(t testing.TB, text string) string {
	t.Helper()
	f, list := parse(t, "in.adm", text)
	if len(list) > 0 {
		t.Fatalf("input:\n%s\n%s", text, render(list))
	}
	once := printed(t, f)
	g, list := parse(t, "printed.adm", once)
	if len(list) > 0 {
		t.Fatalf("printed:\n%s\n%s\nfrom:\n%s", once, render(list), text)
	}
	if twice := printed(t, g); twice != once {
		t.Errorf("not idempotent:\n%s\nthen:\n%s\nfrom:\n%s", once, twice, text)
	}
	if a, b := dump(f.Decls), dump(g.Decls); a != b {
		t.Errorf("another tree:\n%s\n%s\nfrom:\n%s", a, b, text)
	}
	if a, b := comments(f), comments(g); a != b {
		t.Errorf("other comments:\n%s\nwere:\n%s\nfrom:\n%s", b, a, text)
	}
	return once
}

func TestPrint(t *testing.T) {
	files, err := filepath.Glob("testdata/fmt/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			input, want := inputAndWant(t, name)
			if got := checkPrint(t, input); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if got := checkPrint(t, strings.ReplaceAll(input, "\n", "\r\n")); got != want {
				t.Errorf("with CRLF:\n%q\nwant:\n%q", got, want)
			}
		})
	}
}

// inputAndWant reads the two files of an archive.
func inputAndWant(t *testing.T, name string) (input, want string) {
	t.Helper()
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Files) != 2 || a.Files[0].Name != "input" || a.Files[1].Name != "want" {
		t.Fatalf("%s: holds input and want", name)
	}
	return string(a.Files[0].Data), string(a.Files[1].Data)
}

// TestPrintSources prints every policy in the repository.
func TestPrintSources(t *testing.T) {
	n := 0
	for _, pattern := range []string{"testdata/*.adm", "../std/*.adm", "../../examples/*/*.adm", "../../examples/*/policies/*.adm", "../../examples/*/*/policies/*.adm"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			n++
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(name, func(t *testing.T) { checkPrint(t, string(text)) })
		}
	}
	if n < 5 {
		t.Errorf("found %d files only", n)
	}
}

func TestPrintBroken(t *testing.T) {
	f, _ := parse(t, "bad.adm", "policy p {")
	if err := Print(&bytes.Buffer{}, f); err != ErrBroken {
		t.Errorf("got %v, want %v", err, ErrBroken)
	}
}
