package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/config/validation"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// alwaysWarned is what Istio says of every EnvoyFilter.
const alwaysWarned = "EnvoyFilter exposes internal implementation details"

// kinds gives the kinds of the Istio resources in a YAML file, in order, after
// Istio's own validation of each: no unknown field, and no error or warning by
// pkg/config/validation.
func kinds(text []byte) ([]string, error) {
	var out []string
	documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		kind, err := validate(doc)
		if err != nil {
			return nil, err
		}
		out = append(out, kind)
	}
}

func validate(doc []byte) (kind string, err error) {
	var object crd.IstioKind
	if err := yaml.UnmarshalStrict(doc, &object); err != nil {
		return "", err
	}
	gvk := object.GroupVersionKind()
	schema, known := collections.Pilot.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	if !known {
		return "", fmt.Errorf("%s %s is no resource of Istio's", object.APIVersion, object.Kind)
	}
	cfg, err := crd.ConvertObjectInternal(schema, &object, "cluster.local", strictly)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", object.Kind, object.Name, err)
	}
	cfg.Namespace = "default"
	warning, err := schema.ValidateConfig(*cfg)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", object.Kind, object.Name, err)
	}
	for _, w := range each(warning) {
		if !strings.HasPrefix(w.Error(), alwaysWarned) {
			return "", fmt.Errorf("%s %s: %w", object.Kind, object.Name, w)
		}
	}
	return object.Kind, nil
}

// each gives the warnings that Istio joins to one.
func each(warning validation.Warning) []error {
	if many, ok := warning.(interface{ WrappedErrors() []error }); ok {
		return many.WrappedErrors()
	}
	if warning != nil {
		return []error{warning}
	}
	return nil
}

func strictly(schema resource.Schema, js string) (config.Spec, error) {
	spec, err := schema.NewInstance()
	if err != nil {
		return nil, err
	}
	return spec, config.ApplyJSONStrict(spec, js)
}
