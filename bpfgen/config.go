// Package bpfgen configures the redirect objects for a placement, and loads
// them on Linux.
//
// In: a layout. Out: the objects with their checksums, and for each service that
// has an ADM one bpf/<service>.json, which says which of its pods' connections
// go to which listener of the ADM. What only a node knows (addresses, cgroups,
// namespaces) is not in it: Attach is given that for one pod, beside the
// configuration. A configuration of another schema, or for other objects than
// those in this binary, is refused.
package bpfgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"admc.dev/admc/bpf"
)

// Schema is the version of the configuration's form. It grows when a reader of
// the previous version would misread a file.
const Schema = 1

// A Config is bpf/<service>.json: what is redirected in each pod of a service.
type Config struct {
	Generated string            `json:"generated"` // by what; for the reader
	Schema    int               `json:"schema"`
	Service   string            `json:"service"` // its name in the graph
	Namespace string            `json:"namespace"`
	Objects   map[string]string `json:"objects"` // file name -> SHA-256 in hexadecimal
	Ingress   []Ingress         `json:"ingress"` // by port
	Egress    []Egress          `json:"egress"`  // by receiver, then port
}

// A FailMode is what becomes of a connection while the ADM's listener is dead.
type FailMode string

const (
	FailOpen   FailMode = "open"   // it goes where it would go without an ADM
	FailClosed FailMode = "closed" // it is refused
)

// Ingress takes the connections that come from outside the pod to a port of the
// service.
type Ingress struct {
	Port       int      `json:"port"`     // of the service, on the pod
	Listener   int      `json:"listener"` // the ADM's port on 127.0.0.1
	Fail       FailMode `json:"fail"`
	Accelerate bool     `json:"accelerate"` // from the ADM to the service
}

// A Kind of receiver.
type Kind string

const (
	KindService  Kind = "service"
	KindExternal Kind = "external"
)

// Egress takes the pod's connections to one port of one receiver.
type Egress struct {
	Receiver   string   `json:"receiver"` // its name in the graph
	Kind       Kind     `json:"kind"`
	Namespace  string   `json:"namespace,omitempty"` // of a service
	Host       string   `json:"host,omitempty"`      // of an external
	Port       int      `json:"port"`
	Listener   int      `json:"listener"`
	Fail       FailMode `json:"fail"`
	Accelerate bool     `json:"accelerate"` // from the application to the ADM
}

// ParseConfig reads a configuration and checks it. The error names what is
// wrong, not the file.
func ParseConfig(data []byte) (*Config, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	c := new(Config)
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("redirect configuration: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("redirect configuration: something follows it")
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("redirect configuration: %w", err)
	}
	return c, nil
}

// JSON is the configuration as a file.
func (c *Config) JSON() []byte {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("bpfgen: a configuration can't be encoded: %v", err))
	}
	return append(b, '\n')
}

func (c *Config) check() error {
	if c.Schema != Schema {
		return fmt.Errorf("its schema is %d, this admc reads %d", c.Schema, Schema)
	}
	if !maps.Equal(c.Objects, bpf.Checksums()) {
		return fmt.Errorf("it is for other objects than those of this admc: compile again")
	}
	listeners := map[int]bool{}
	common := func(what string, port, listener int, fail FailMode) error {
		switch {
		case port < 1 || port > 65535:
			return fmt.Errorf("%s: %d is no port", what, port)
		case listener < 1 || listener > 65535:
			return fmt.Errorf("%s: %d is no listener port", what, listener)
		case listeners[listener]:
			return fmt.Errorf("%s: another row has the listener %d", what, listener)
		case fail != FailOpen && fail != FailClosed:
			return fmt.Errorf("%s: fail is %q, it can be \"open\" or \"closed\"", what, fail)
		}
		listeners[listener] = true
		return nil
	}
	ports := map[int]bool{}
	for _, r := range c.Ingress {
		what := fmt.Sprintf("ingress port %d", r.Port)
		if err := common(what, r.Port, r.Listener, r.Fail); err != nil {
			return err
		}
		if ports[r.Port] {
			return fmt.Errorf("%s: it is there twice", what)
		}
		ports[r.Port] = true
	}
	type end struct {
		receiver string
		port     int
	}
	ends := map[end]bool{}
	for _, r := range c.Egress {
		what := fmt.Sprintf("egress to %s:%d", r.Receiver, r.Port)
		if err := common(what, r.Port, r.Listener, r.Fail); err != nil {
			return err
		}
		if r.Receiver == "" || (r.Kind != KindService && r.Kind != KindExternal) {
			return fmt.Errorf("%s: it needs a receiver and its kind, \"service\" or \"external\"", what)
		}
		if ends[end{r.Receiver, r.Port}] {
			return fmt.Errorf("%s: it is there twice", what)
		}
		ends[end{r.Receiver, r.Port}] = true
	}
	return nil
}
