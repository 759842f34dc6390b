package main

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"admc.dev/admc/lang/diag"
)

// goFiles parses every Go file of the module that is no test.
func goFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		files[path] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// codeConstants gives the values of the constants of type diag.Code in a file.
func codeConstants(t *testing.T, f *ast.File) []string {
	t.Helper()
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		switch typ := v.Type.(type) {
		case *ast.SelectorExpr:
			ok = typ.Sel.Name == "Code" && typ.X.(*ast.Ident).Name == "diag"
		case *ast.Ident:
			ok = typ.Name == "Code" && f.Name.Name == "diag"
		default:
			ok = false
		}
		for _, value := range v.Values {
			if lit, isLit := value.(*ast.BasicLit); ok && isLit {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, s)
			}
		}
		return true
	})
	return out
}

// TestEveryCodeHasAPage walks the constants of the whole module: each is in
// the table behind `admc doc`, once, and nothing else is.
func TestEveryCodeHasAPage(t *testing.T) {
	pages := map[string]int{}
	for _, c := range codes() {
		pages[string(c.Code)]++
		if pages[string(c.Code)] > 1 {
			t.Errorf("%s is documented twice", c.Code)
		}
		var out bytes.Buffer
		if status := run(context.Background(), []string{"doc", string(c.Code)}, streams{nil, &out, &out}); status != 0 || !strings.HasPrefix(out.String(), string(c.Code)+": "+c.Summary) || c.Summary == "" {
			t.Errorf("admc doc %s gives %d and\n%s", c.Code, status, out.String())
		}
	}
	constants := map[string]bool{}
	for path, f := range goFiles(t) {
		for _, code := range codeConstants(t, f) {
			constants[code] = true
			if pages[code] == 0 {
				t.Errorf("%s: the code %q has no page", path, code)
			}
		}
	}
	for code := range pages {
		if !constants[code] {
			t.Errorf("the page of %q documents no constant", code)
		}
	}
}

// TestCodesAreConstants: no diagnostic is reported with a code that is written
// on the spot, where the test above would not see it.
func TestCodesAreConstants(t *testing.T) {
	isText := func(e ast.Expr) bool {
		lit, ok := e.(*ast.BasicLit)
		return ok && lit.Kind == token.STRING
	}
	calls := 0
	for path, f := range goFiles(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Errorf" && sel.Sel.Name != "Warnf" || isText(call.Args[0]) {
				return true
			}
			if calls++; isText(call.Args[1]) {
				t.Errorf("%s: a diagnostic with the literal code %s", path, call.Args[1].(*ast.BasicLit).Value)
			}
			return true
		})
	}
	if calls < 50 {
		t.Errorf("only %d reports were seen", calls)
	}
}

// TestCommandCodes holds the examples of the codes that commands report, and of
// those about comments, to what the commands say.
func TestCommandCodes(t *testing.T) {
	shop, err := os.ReadFile("../../docs/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	given := func(program string, args ...string) []string {
		dir := t.TempDir()
		for name, text := range map[string][]byte{"graph.yaml": shop, "p.adm": []byte(program)} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		var out, errs bytes.Buffer
		run(context.Background(), append(args, "--format", "github", filepath.Join(dir, "p.adm")), streams{nil, &out, &errs})
		var found []string
		for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if _, rest, ok := strings.Cut(line, "title="); ok {
				code, _, _ := strings.Cut(rest, "::")
				found = append(found, code)
			}
		}
		return found
	}
	check := func(c diag.CodeDoc, args ...string) {
		if got := given(c.Bad, args...); len(got) == 0 || got[len(got)-1] != string(c.Code) {
			t.Errorf("%s: the bad example gives %v", c.Code, got)
		}
		if got := given(c.Good, args...); len(got) > 0 {
			t.Errorf("%s: the good example gives %v", c.Code, got)
		}
	}
	for _, c := range diag.Codes {
		check(c, "check")
	}
	for _, c := range cliCodes {
		check(c, "fmt", "--check")
	}
}
