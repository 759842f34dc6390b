package kube

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"admc.dev/admc/lang/diag"
)

// sources are the files behind a base. What kustomize renders has no positions,
// so a place is looked up in the file that declares an object of the same kind
// and name. An object whose name kustomize made has none.
type sources struct {
	files map[string]*diag.Source
	docs  []document
}

type document struct {
	src  *diag.Source
	node *yaml.Node
}

// read parses one file.
func (s *sources) read(name string, bag *diag.Bag) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	src := diag.NewSource(name, text)
	if s.files == nil {
		s.files = map[string]*diag.Source{}
	}
	s.files[name] = src
	docs, err := documents(text)
	if err != nil {
		bag.Errorf(yamlSpan(src, err), codeBaseUnreadable, "%s", oneLine(err))
		return nil
	}
	for _, node := range docs {
		s.docs = append(s.docs, document{src, node})
	}
	return nil
}

// Sources gives the files behind the base, by name.
func (b *Base) Sources() []*diag.Source {
	var out []*diag.Source
	for _, name := range slices.Sorted(maps.Keys(b.files.files)) {
		out = append(out, b.files.files[name])
	}
	return out
}

// yamlSpan reads the line from yaml.v3's message, the only place that has it.
func yamlSpan(src *diag.Source, err error) diag.Span {
	if _, rest, ok := strings.Cut(err.Error(), "line "); ok {
		digits, _, _ := strings.Cut(rest, ":")
		if line, err := strconv.Atoi(digits); err == nil {
			return src.LineSpan(line, 1, utf8.RuneCountInString(src.Line(line)))
		}
	}
	return src.Span(0, 0)
}

// collect reads a kustomization, the files it lists and the kustomizations it
// lists in turn. What isn't on disk would be fetched by kustomize, so it is
// refused here.
func (s *sources) collect(dir string, bag *diag.Bag, seen map[string]bool) error {
	file := kustomizationFile(dir)
	if file == "" || seen[filepath.Clean(dir)] {
		return nil // kustomize words both better
	}
	seen[filepath.Clean(dir)] = true
	first := len(s.docs)
	if err := s.read(file, bag); err != nil {
		return err
	}
	for _, doc := range s.docs[first:] {
		for _, key := range []string{"resources", "components", "bases", "crds", "generators", "transformers", "validators", "configurations"} {
			list := lookup(doc.node, key)
			if list == nil || list.Kind != yaml.SequenceNode {
				continue
			}
			for _, item := range list.Content {
				if err := s.collectItem(dir, doc.src, key, item, bag, seen); err != nil {
					return err
				}
			}
		}
		if charts := lookup(doc.node, "helmCharts"); charts != nil {
			bag.Errorf(nodeSpan(doc.src, charts), codeBaseRemote, "helm charts are not rendered: admc runs nothing and fetches nothing").
				WithHint("render the chart to a file and list that")
		}
	}
	return nil
}

func (s *sources) collectItem(dir string, src *diag.Source, key string, item *yaml.Node, bag *diag.Bag, seen map[string]bool) error {
	if strings.Contains(item.Value, "\n") {
		return nil // an inline object
	}
	name := filepath.Join(dir, filepath.FromSlash(item.Value))
	info, err := os.Stat(name)
	switch {
	case err != nil && isURL(item.Value):
		bag.Errorf(nodeSpan(src, item), codeBaseRemote, "%q is not on disk, and admc fetches nothing", item.Value).
			WithHint("copy it beside the base and list the copy")
	case err != nil:
		bag.Errorf(nodeSpan(src, item), codeBaseUnreadable, "%s: %q is not there", key, item.Value)
	case info.IsDir():
		return s.collect(name, bag, seen)
	case key == "resources" || key == "bases":
		return s.read(name, bag)
	}
	return nil
}

// isURL takes what kustomize would clone or download: a URL, or a host and path
// without a scheme.
func isURL(ref string) bool {
	if u, err := url.Parse(ref); err == nil && u.Scheme != "" {
		return true
	}
	host, _, _ := strings.Cut(ref, "/")
	return strings.Contains(ref, "?ref=") || strings.Contains(host, ".") && host != "." && host != ".." && strings.Contains(ref, "/")
}

// kustomizationFile gives the path of a directory's kustomization; "" when it
// has none.
func kustomizationFile(dir string) string {
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

func (s *sources) start(file string) diag.Span {
	if src := s.files[file]; src != nil {
		return src.LineSpan(1, 1, utf8.RuneCountInString(src.Line(1)))
	}
	return diag.Span{}
}

// at gives the place of a path in an object's file: keys of mappings, and for
// lists `name=x` or an index. Where the file hasn't got all of it, because
// kustomize added the rest, it is the nearest above.
func (s *sources) at(o *object, path ...string) diag.Span {
	for _, doc := range s.docs {
		node := find(doc.node, o)
		if node == nil {
			continue
		}
		at := lookup(node, "metadata", "name")
		for i := range path {
			if next := lookup(node, path[:i+1]...); next != nil {
				at = next
			}
		}
		return nodeSpan(doc.src, at)
	}
	return diag.Span{}
}

// find gives the object's node in a document: the document itself, or an item
// of a List.
func find(node *yaml.Node, o *object) *yaml.Node {
	var have object
	if err := node.Decode(&have); err != nil {
		return nil
	}
	if have.Kind == o.Kind && have.Metadata.Name == o.Metadata.Name &&
		(have.Metadata.Namespace == "" || have.Metadata.Namespace == o.Metadata.Namespace) {
		return node
	}
	if strings.HasSuffix(have.Kind, "List") {
		if items := lookup(node, "items"); items != nil {
			for _, item := range items.Content {
				if n := find(item, o); n != nil {
					return n
				}
			}
		}
	}
	return nil
}

// lookup walks a node by keys; nil when it isn't there.
func lookup(node *yaml.Node, path ...string) *yaml.Node {
	if node.Kind == yaml.DocumentNode {
		if len(node.Content) == 0 {
			return nil
		}
		node = node.Content[0]
	}
	for _, key := range path {
		if node = child(node, key); node == nil {
			return nil
		}
	}
	return node
}

func child(node *yaml.Node, key string) *yaml.Node {
	switch node.Kind {
	case yaml.AliasNode:
		return child(node.Alias, key)
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if name, ok := strings.CutPrefix(key, "name="); ok {
			for _, item := range node.Content {
				if n := child(item, "name"); n != nil && n.Value == name {
					return item
				}
			}
		} else if i, err := strconv.Atoi(key); err == nil && i < len(node.Content) {
			return node.Content[i]
		}
	}
	return nil
}

// nodeSpan covers a scalar, or the first key or item of anything larger.
func nodeSpan(src *diag.Source, node *yaml.Node) diag.Span {
	width := 1
	switch node.Kind {
	case yaml.ScalarNode:
		width = utf8.RuneCountInString(node.Value)
		if node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			width += 2
		}
	case yaml.MappingNode, yaml.SequenceNode:
		if len(node.Content) > 0 {
			return nodeSpan(src, node.Content[0])
		}
	}
	return src.LineSpan(node.Line, node.Column, width)
}
