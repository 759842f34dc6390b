package lang

import (
	"slices"
	"testing"

	"admc.dev/admc/lang/diag"
	"admc.dev/admc/lang/syntax"
)

// TestCheckApart: what is whole is checked beside what could not be read, and
// nothing is said that the latter might answer. testdata/errors/unclosed.adm has
// both in one file.
func TestCheckApart(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []diag.Code
	}{
		{"names of the other file", `
			policy a { on $databases -> geo  timeout($short) }
			@before(elsewhere)
			policy b { on search -> geo  mine()  when { jwt.claims["sub"] == "x" } }
			require r { on * -> geo  has mine }
			test "t" { frontend -> checkout GET "/"  expect pass by elsewhere }
			let unused = 5s`, nil},
		{"own mistakes", `
			policy a { on serch -> geo  timeout(5/s) }
			policy b { on search -> geo  retry(attempt: 2)  when { request.heders["x"] == "1" } }
			policy c { on cart -> redis-cart  set_header("x-a", "1") }
			policy c { on search -> geo }`,
			[]diag.Code{UnknownService, TypeMismatch, UnknownArgument, UnknownAttribute, WrongProtocol, DuplicateName, MissingClause}},
		{"a value of the other file", `policy a { on search -> geo  timeout($rate) }`, nil},
		{"needs what the other file may give", `
			policy a { on * -> frontend  when { jwt.claims["sub"] == "x" }  deny() }
			require r { on * -> payment  has access_log }`, nil},
	} {
		bag := &diag.Bag{}
		f := syntax.Parse(diag.NewSource("p.adm", []byte(c.text)), bag)
		CheckApart([]*syntax.File{f}, shop(t), bag)
		var got []diag.Code
		for _, d := range bag.All() {
			got = append(got, d.Code)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v\n%s", c.name, got, c.want, textOf(bag.All()))
		}
	}
}

// TestCheckWithoutGraph: mistakes in the graph don't hide those of the policies that
// no graph would mend, and nothing is said of what it may hold.
func TestCheckWithoutGraph(t *testing.T) {
	const right = `
		let short = 5s
		let nodes = {search, geo}
		policy a { on $nodes -> [tier=data] : grpc  timeout($short)  when { request.headers["x"] == "1" && source.service == "search" } }
		policy b { on search -> geo  route("v1") }
		@before(b) policy c { path search ~> geo  deny()  when { request.path == "/" } }
		@closed policy d { on cart -> cart }
		require r { on * -> geo  has timeout }
		test "t" { search -> geo POST "/a.B/C"  expect pass by b }`
	for _, c := range []struct {
		name, text string
		want       []diag.Code
	}{
		{"right", right, nil},
		{"mistakes", right + `
			policy e { on serch -> geo  deny(sttus: 3)  when { request.pth == "/" } }
			@before(nobody) policy f { on search -> geo  dney() }
			let x = $x`, []diag.Code{UnknownArgument, UnknownAttribute, UnknownPolicy, UnknownAction, LetCycle}},
		{"lost", right + `
			policy e { on serch -> geo  deny(sttus: 3)  dney(`, []diag.Code{UnknownArgument}},
	} {
		bag := &diag.Bag{}
		f := syntax.Parse(diag.NewSource("p.adm", []byte(c.text)), &diag.Bag{})
		CheckWithoutGraph([]*syntax.File{f}, f.Lost, bag)
		var got []diag.Code
		for _, d := range bag.All() {
			got = append(got, d.Code)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v\n%s", c.name, got, c.want, textOf(bag.All()))
		}
	}
}
